"""The lock of an environment: every package with its version and hashes, and nothing else.

It comes out of the resolver's output, which an index or a package under build could have written to; so only lines
of exactly this form are taken, and no address can get in.
"""

import re

from runs.errors import EnvironmentFailed

_PACKAGE = re.compile(r"[a-z0-9][a-z0-9._-]*==[A-Za-z0-9.!+_-]+( ; [^\\]+)?( \\)?")
_HASH = re.compile(r" +--hash=sha\d+:[0-9a-f]+( \\)?")


class LockReader:
    """Collects the lock from ``uv pip compile``'s output, line by line."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def line(self, line: str) -> bool:
        """Takes a line of the lock; True when it was none and belongs into the log."""
        if not _PACKAGE.fullmatch(line) and not (_HASH.fullmatch(line) and self._lines):
            return True
        self._lines.append(line)
        return False

    def text(self) -> str:
        """The lock. Raises EnvironmentFailed when a package came without a hash, or no package at all."""
        if not self._lines:
            raise EnvironmentFailed("The packages were resolved to nothing at all; the build's log has what uv said.")
        for line, following in zip(self._lines, [*self._lines[1:], ""], strict=True):
            if _PACKAGE.fullmatch(line) and not _HASH.fullmatch(following):
                name = line.split(" ")[0]
                raise EnvironmentFailed(f"The package index gives no hash for {name}, so it cannot be pinned.")
        return "\n".join(self._lines) + "\n"


def lock_packages(lock: str) -> list[str]:
    """The packages of a lock as ``name==version``, in its order."""
    return [line.split(" ")[0] for line in lock.splitlines() if line[:1].strip()]
