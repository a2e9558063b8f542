"""The lock of an environment: every package with its version and hashes, and nothing else.

It comes out of the resolver's output, which an index or a package under build could have written to; so only lines
of exactly this form are taken, and no address can get in but those that were asked for.
"""

import re
from collections.abc import Collection, Mapping

from runs.errors import EnvironmentFailed

_PACKAGE = re.compile(r"[a-z0-9][a-z0-9._-]*==[A-Za-z0-9.!+_-]+( ; [^\\]+)?( \\)?")
_ADDRESSED = re.compile(r"[a-z0-9][a-z0-9._-]* @ (\S+)( ; [^\\]+)?( \\)?")
_HASH = re.compile(r" +--hash=sha\d+:[0-9a-f]+( \\)?")


class LockReader:
    """Collects the lock from ``uv pip compile``'s output, line by line. ``addresses`` are those asked for."""

    def __init__(self, addresses: Collection[str] = ()) -> None:
        self._lines: list[str] = []
        self._addresses = frozenset(addresses)

    def line(self, line: str) -> bool:
        """Takes a line of the lock; True when it was none and belongs into the log."""
        if not self._is_package(line) and not (_HASH.fullmatch(line) and self._lines):
            return True
        self._lines.append(line)
        return False

    def text(self) -> str:
        """The lock. Raises EnvironmentFailed when a package came without a hash, or no package at all."""
        if not self._lines:
            raise EnvironmentFailed("The packages were resolved to nothing at all; the build's log has what uv said.")
        for line, following in zip(self._lines, [*self._lines[1:], ""], strict=True):
            if not _HASH.fullmatch(line) and not _HASH.fullmatch(following):
                name = line.split(" ")[0]
                raise EnvironmentFailed(f"The package index gives no hash for {name}, so it cannot be pinned.")
        return "\n".join(self._lines) + "\n"

    def _is_package(self, line: str) -> bool:
        if _PACKAGE.fullmatch(line):
            return True
        match = _ADDRESSED.fullmatch(line)
        return match is not None and match[1] in self._addresses


def lock_packages(lock: str) -> list[str]:
    """The packages of a lock as ``name==version``, or ``name @ address``, in its order."""
    return [
        " ".join(line.split(" ")[:3]) if _ADDRESSED.fullmatch(line) else line.split(" ")[0]
        for line in lock.splitlines()
        if line[:1].strip()
    ]


def lock_version(lock: str, name: str) -> str:
    """The version of the package ``name``; empty when the lock has none of it."""
    pairs = (line.partition("==") for line in lock_packages(lock))
    return next((version for found, _, version in pairs if found == name), "")


def lock_restricted(lock: str, hashes: Mapping[str, Collection[str]]) -> str:
    """``lock`` with only those hashes of each package that ``hashes`` names for it; packages that it does not name
    keep theirs. Raises EnvironmentFailed when none is left."""
    kept: list[str] = []
    for block in re.split(r"\n(?=\S)", lock.rstrip("\n")):
        package, *lines = [line.removesuffix(" \\") for line in block.splitlines()]
        name = re.split(r"==| @ ", package)[0]
        if name in hashes:
            lines = [line for line in lines if line.strip().removeprefix("--hash=") in hashes[name]]
        if not lines:
            raise EnvironmentFailed(
                f"What the package index has for {package.split(' ')[0]} has another SHA-256 than the requirements "
                "file names. Check the file's --hash options: nothing was installed."
            )
        kept.append(" \\\n".join([package, *lines]))
    return "\n".join(kept) + "\n"
