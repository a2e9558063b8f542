"""Fetching a git repository for a build, with a build's rights: resolved to a commit, over http and https alone."""

import re
import shutil
from pathlib import Path

from django.conf import settings

from runs.environments.workshop import Workshop
from runs.errors import EnvironmentFailed
from runs.spec import REPOSITORY, repository_folder, repository_problem

_PLACES = "/usr/local/bin:/usr/bin:/bin"
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

#: git asks nobody for a password, and follows neither a submodule nor a redirection to this machine's files.
_ENVIRON = {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "http:https", "GIT_ASKPASS": "/bin/false"}


def repository_fetch(workshop: Workshop, path: str, place: Path, *, apart: str) -> tuple[str, str, Path]:
    """Lays the repository ``path`` (``git+https://…@revision#subdirectory=…``) at ``place``, its history and its
    submodules included, in the place ``apart`` of the backend. Returns the same path with the commit as its revision,
    the commit, and the package's folder.

    Raises EnvironmentFailed when repositories are not allowed (any more), git is missing, or nothing can be fetched.
    """
    match = REPOSITORY.fullmatch(path)
    problem = repository_problem(path, allow_urls=settings.ENV.allow_url_packages)
    if problem or match is None:
        raise EnvironmentFailed(f"{path} {problem}")
    git = shutil.which("git", path=_PLACES)
    if git is None:
        raise EnvironmentFailed(
            f"{path} is a repository, and there is no git on the machine that builds. Ask an administrator to install "
            "it (apt-get install git), then submit again."
        )
    workshop.say(f"Fetching {path}")
    what = f"Fetching {path}"
    workshop.command(
        [git, "clone", "--quiet", "--no-checkout", "--", match["address"], str(place)],
        what=what,
        environ=_ENVIRON,
        apart=apart,
    )
    commit = _commit(workshop, git, place, match["revision"], path=path, apart=apart)
    inside = [git, "-C", str(place)]
    workshop.command([*inside, "checkout", "--quiet", "--detach", commit], what=what, environ=_ENVIRON, apart=apart)
    workshop.command(
        [*inside, "submodule", "--quiet", "update", "--init", "--recursive"], what=what, environ=_ENVIRON, apart=apart
    )
    folder = repository_folder(match["more"] or "") or ""
    locked = f"git+{match['address']}@{commit}{f'#subdirectory={folder}' if folder else ''}"
    return locked, commit, place / folder


def _commit(workshop: Workshop, git: str, place: Path, revision: str | None, *, path: str, apart: str) -> str:
    """The commit of ``revision``: a branch, a tag, a commit; without one, of the repository's default branch."""
    names = [f"refs/remotes/origin/{revision}", f"refs/tags/{revision}", revision] if revision else ["HEAD"]
    for name in names:
        said: list[str] = []

        def each_line(line: str, said: list[str] = said) -> bool:
            said.append(line)
            return False

        words = [git, "-C", str(place), "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]
        try:
            workshop.command(words, what=f"Looking for {name}", each_line=each_line, environ=_ENVIRON, apart=apart)
        except EnvironmentFailed:
            continue
        if len(said) == 1 and _COMMIT.fullmatch(said[0]):
            return said[0]
    raise EnvironmentFailed(f"{path}: the repository has no branch, tag or commit {revision or 'to begin with'!r}.")
