"""What git knows of a folder: remote, branch, commit, and whether the files differ from the commit.

A repository's own configuration can name programs that ``git status`` runs (fsmonitor, filters). So git runs as the
user who owns the repository, never with more rights, and where that is not possible git's own ownership check
(safe.directory) stands.
"""

import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

TIMEOUT_S = 10.0
_OPTIONS = ("--no-optional-locks", "--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")


def git_facts(folder: Path) -> dict[str, Any]:
    """``{"remote", "branch", "commit", "dirty"}``; empty when ``folder`` lies in no repository, git is missing, or it
    does not answer in time. ``branch`` is empty for a detached head, ``dirty`` None when git could not tell."""
    repository = _repository(folder)
    if repository is None:
        return {}
    commit = _git(folder, repository, "rev-parse", "--verify", "--quiet", "HEAD")
    if not commit:
        return {}
    changes = _git(folder, repository, "status", "--porcelain", "--", ".")
    return {
        "remote": without_credentials(_git(folder, repository, "config", "--get", "remote.origin.url") or ""),
        "branch": _git(folder, repository, "symbolic-ref", "--short", "--quiet", "HEAD") or "",
        "commit": commit,
        "dirty": None if changes is None else bool(changes),
    }


def without_credentials(url: str) -> str:
    """A remote's address without user name and password, as far as it has the form of a URL."""
    if "://" not in url:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _repository(folder: Path) -> Path | None:
    """The nearest ``.git`` in ``folder`` or above it."""
    for parent in (folder, *folder.parents):
        if os.path.lexists(parent / ".git"):
            return parent / ".git"
    return None


def _git(folder: Path, repository: Path, *words: str) -> str | None:
    """What git answers, or None."""
    rights: dict[str, Any] = {}
    try:
        if os.geteuid() == 0:
            owner = repository.lstat()
            rights = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
        done = subprocess.run(
            ["git", *_OPTIONS, *words],
            cwd=folder,
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": "/nonexistent",
                "LC_ALL": "C",
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_CONFIG_GLOBAL": os.devnull,
                "GIT_TERMINAL_PROMPT": "0",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
            **rights,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None
