"""The parts that fields of a spec are made of: paths of the snapshot and package requirements."""

from __future__ import annotations

import posixpath
import re

from packaging.requirements import InvalidRequirement, Requirement


def path_inside(path: str, *, folder: str = "") -> str | None:
    """``path``, relative to ``folder``, as a path of the snapshot; None when it leads outside or names no file."""
    if not path or path.startswith(("/", "~")) or "\\" in path or "\0" in path:
        return None
    clean = posixpath.normpath(posixpath.join(folder, path))
    return None if clean in (".", "..") or clean.startswith("../") else clean


def address_problem(requirement: Requirement, *, allow_urls: bool) -> str:
    """What is wrong with the address of ``requirement``, as the end of a sentence; empty when it has none or it can be
    used. Everything installed is locked by its hash, which a repository does not have."""
    if requirement.url is None:
        return ""
    if not allow_urls:
        return f"names an address. Packages come from the configured index: give a name, such as {requirement.name}."
    if not re.match(r"https?://[^/@\s]+/", requirement.url):
        return "has no address that can be fetched. Name an archive: https://, a host without a user, and its path."
    return ""


def reason_of(error: InvalidRequirement | RecursionError) -> str:
    """Why a requirement cannot be read, without a full stop."""
    return str(error).splitlines()[0].rstrip(".") if isinstance(error, InvalidRequirement) else "it nests too deeply"
