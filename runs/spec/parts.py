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


#: A git repository: its address, a branch, tag or commit, and after # a folder in it and the name of the package.
REPOSITORY = re.compile(
    r"git\+(?P<address>https?://[^/@\s#?]+/[^\s@#?]+)(?:@(?P<revision>[A-Za-z0-9][\w./-]*))?(?:#(?P<more>[^\s#]*))?"
)
_OF_VCS = re.compile(r"(git|hg|svn|bzr)(?:\+|@)", re.IGNORECASE)


def repository_problem(text: str, *, allow_urls: bool) -> str:
    """What is wrong with the repository that ``text`` names, as the end of a sentence; empty when it can be used, and
    when it is none."""
    kind = _OF_VCS.match(text)
    if kind is None:
        return ""
    if kind[1].lower() != "git":
        return f"names a repository of {kind[1].lower()}; only git's can be used: git+https://…."
    if not allow_urls:
        return "names a repository. Packages come from the configured index: name a release."
    match = REPOSITORY.fullmatch(text)
    if match is None:
        return (
            "names a repository that cannot be fetched. Write git+https://, a host without a user, its path, and after "
            "@ a branch, a tag or a commit."
        )
    folder = repository_folder(match["more"] or "")
    if folder is None or ".." in (match["revision"] or ""):
        return "names more than a repository, a revision, #subdirectory=… and egg=…; leave the rest away."
    return ""


def repository_folder(more: str) -> str | None:
    """The subdirectory that the end of a repository's address names; empty for its top, None when it says anything
    that cannot be followed."""
    folder = ""
    for part in filter(None, more.split("&")):
        key, _, value = part.partition("=")
        if key == "subdirectory" and path_inside(value):
            folder = path_inside(value) or ""
        elif key != "egg":
            return None
    return folder


def address_problem(requirement: Requirement, *, allow_urls: bool) -> str:
    """What is wrong with the address of ``requirement``, as the end of a sentence; empty when it has none or it can be
    used. Everything installed is locked: an archive by its hash, a repository by its commit."""
    if requirement.url is None:
        return ""
    if _OF_VCS.match(requirement.url):
        return repository_problem(requirement.url, allow_urls=allow_urls)
    if not allow_urls:
        return f"names an address. Packages come from the configured index: give a name, such as {requirement.name}."
    # packaging takes a line end as part of an address, and the rest of it would be a line of the resolver's own file.
    if not re.fullmatch(r"https?://[^/@\s]+/\S*", requirement.url):
        return "has no address that can be fetched. Name an archive: https://, a host without a user, and its path."
    return ""


def reason_of(error: InvalidRequirement | RecursionError) -> str:
    """Why a requirement cannot be read, without a full stop."""
    return str(error).splitlines()[0].rstrip(".") if isinstance(error, InvalidRequirement) else "it nests too deeply"
