"""Packages that are built from files, of the snapshot or of a repository: the lines that name them, and what of them
decides an environment. Pure.

``-e`` makes no difference: an environment is shared and closed, so what it holds is a copy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import Requirement
from packaging.utils import InvalidName, canonicalize_name

from runs.spec import REPOSITORY, path_inside, repository_folder, repository_problem

#: What makes a folder a package (PEP 517), and which files are packages by themselves.
PACKAGE_FILES = ("pyproject.toml", "setup.py")
ARCHIVES = (".whl", ".tar.gz", ".zip")

_PATH = re.compile(r"(?P<path>.*?)(?:\[(?P<extras>[^\[\]]*)\])?")
_OTHER_ARCHIVES = re.compile(r"\.(?:tgz|tar|tar\.bz2|tar\.xz|egg)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One package from files that a line asks for. ``path`` is its folder or archive in the snapshot (``.`` for the
    whole source folder), or a repository as ``git+https://…@revision#subdirectory=…``; ``where`` is the line's place.
    ``name`` is what the package has to be called; empty: whatever it is."""

    path: str
    where: str
    extras: tuple[str, ...] = ()
    marker: str = ""
    name: str = ""

    @property
    def is_repository(self) -> bool:
        """Whether it is fetched, and not part of the snapshot."""
        return is_repository(self.path)

    @property
    def named(self) -> str:
        """As a line would have it."""
        return self.path if self.is_repository or self.path == "." else f"./{self.path}"


def source_read(text: str, where: str, read: Callable[[str, int], bytes | None]) -> Source:
    """The package that ``text`` names, such as ``./pkg[extra] ; python_version > "3.10"``; as for pip, paths start at
    the source folder. Raises ValueError with the end of a sentence when there is none to be had."""
    named, _, condition = text.partition(";")
    match = _PATH.fullmatch(named.strip())
    assert match is not None
    given = _unquoted(match["path"].strip())
    path = "." if given.rstrip("/") in (".", "") and given else path_inside(given)
    if path is None:
        raise ValueError(f"asks for {given!r}, which lies outside the source folder. Put the package into it.")
    if path.endswith(ARCHIVES):
        if read(path, 1) is None:
            raise ValueError(f"asks for {given!r}, which is not in the source folder. Paths start there.")
    elif _OTHER_ARCHIVES.search(path):
        raise ValueError(f"asks for {given!r}; a package is a folder, a wheel, or an archive {' or '.join(ARCHIVES)}.")
    elif not any(read(_below(path, name), 1) is not None for name in PACKAGE_FILES):
        missing = " and no ".join(_below(path, name) for name in PACKAGE_FILES)
        raise ValueError(
            f"asks for {given!r}, and the source folder has no {missing}. Paths start at the source folder, and a "
            "package needs one of these files."
        )
    return Source(path=path, where=where, extras=_extras(match["extras"] or ""), marker=_marker(condition.strip()))


def repository_of(requirement: Requirement, where: str) -> Source | None:
    """The repository that ``requirement`` names, whose address was checked; None when it names none."""
    if not (requirement.url or "").startswith("git+"):
        return None
    return Source(
        path=_repository(requirement.url or "")[0],
        where=where,
        extras=tuple(sorted({canonicalize_name(extra) for extra in requirement.extras})),
        marker=str(requirement.marker or ""),
        name=canonicalize_name(requirement.name),
    )


def repository_read(text: str, where: str, *, allow_urls: bool) -> Source:
    """The repository that ``text`` names without a package before it: ``git+https://…#egg=name ; marker``. Raises
    ValueError with the end of a sentence when it cannot be used."""
    address, _, condition = (part.strip() for part in text.partition(";"))
    if problem := repository_problem(address, allow_urls=allow_urls):
        raise ValueError(problem)
    path, egg = _repository(address)
    match = _PATH.fullmatch(egg)
    assert match is not None
    return Source(
        path=path,
        where=where,
        extras=_extras(match["extras"] or ""),
        marker=_marker(condition),
        name=canonicalize_name(match["path"]),
    )


def sources_described(sources: Iterable[Source], tree_of: Callable[[str], str | None] | None) -> dict[str, Any]:
    """What the canonical description of an environment says of ``sources``: by path, the digest of its files (not of a
    repository's, which only its build fetches) and how it is asked for. Empty when there are none. Raises ValueError
    when something lies in a snapshot and there is no ``tree_of`` it."""
    described: dict[str, Any] = {}
    for source in sorted(sources, key=lambda source: (source.path, source.extras, source.marker)):
        if source.path not in described:
            if not source.is_repository and tree_of is None:
                raise ValueError(f"{source.named} belongs to a snapshot, and there is none to take it from.")
            origin = {} if source.is_repository or tree_of is None else {"tree": tree_of(source.path)}
            described[source.path] = {**origin, "asked": []}
        entry = described[source.path]
        if source.name:
            entry["name"] = source.name
        asked = [list(source.extras), source.marker]
        if asked not in entry["asked"]:
            entry["asked"].append(asked)
    return described


def is_repository(path: str) -> bool:
    """Whether a source of this path is a repository. No path of a snapshot has two slashes."""
    return path.startswith(("git+https://", "git+http://"))


def _repository(address: str) -> tuple[str, str]:
    """The one spelling of a repository's address, and the name that it gives to the package."""
    match = REPOSITORY.fullmatch(address)
    assert match is not None
    more = match["more"] or ""
    egg = next((part.removeprefix("egg=") for part in more.split("&") if part.startswith("egg=")), "")
    revision = f"@{match['revision']}" if match["revision"] else ""
    folder = repository_folder(more)
    return f"git+{match['address']}{revision}{f'#subdirectory={folder}' if folder else ''}", unquote(egg)


def _below(path: str, name: str) -> str:
    return name if path == "." else f"{path}/{name}"


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _extras(text: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        try:
            canonicalize_name(name, validate=True)
        except InvalidName as error:
            raise ValueError(f"has the extra {name!r}, which is no name of one.") from error
    return tuple(sorted({canonicalize_name(name) for name in names}))


def _marker(text: str) -> str:
    if not text:
        return ""
    try:
        return str(Marker(text))
    except (InvalidMarker, RecursionError) as error:
        reason = str(error).splitlines()[0] if isinstance(error, InvalidMarker) else "it nests too deeply"
        raise ValueError(f"has the marker {text[:80]!r}, which cannot be read: {reason}.") from error
