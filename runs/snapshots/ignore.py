"""Which files of a source folder stay behind.

One ignore file counts, the first of ``IGNORE_FILES`` that lies at the top of the folder, as the estimator did it;
its lines follow git's rules (https://git-scm.com/docs/gitignore). Like git, a folder that is ignored is ignored with
all it holds: a later ``!`` cannot bring back a single file of it. ``ALWAYS_IGNORED`` cannot be brought back at all.
"""

import time
from collections.abc import Iterable, Sequence
from functools import cache

from runs.errors import SnapshotRefused
from runs.snapshots.globs import Pattern, pattern_of

IGNORE_FILES = (".trainhouseignore", ".amlignore", ".gitignore")

#: Version control, caches, environments, what macOS adds to archives; and the two folders that the platform makes
#: for every run, where an earlier run's results would otherwise come along.
ALWAYS_IGNORED = (
    ".git",
    "/outputs/",
    "/logs/",
    ".azureml/",
    ".trainhouse/",
    ".ipynb_checkpoints/",
    "__pycache__/",
    ".venv/",
    "__MACOSX/",
    ".DS_Store",
)

#: An ignore file is read whole before anything else.
MAX_IGNORE_BYTES = 256 * 1024

#: Of processor time for one source; thousands of files meet hundreds of lines in less than a second.
MOST_SECONDS = 30.0


class IgnoreRules:
    """Decides for paths relative to the top of the source folder."""

    def __init__(self, lines: Iterable[str] = (), *, source: str = "") -> None:
        """``source`` names the ignore file that ``lines`` come from. Raises SnapshotRefused for a line that is no
        pattern."""
        self.source = source
        try:
            self._own = _patterns(lines)
        except ValueError as error:
            raise SnapshotRefused(f"{source} has a line that is no ignore pattern: {error}") from error
        self._folders: dict[str, bool] = {"": False}
        self._ends_at = 0.0

    @classmethod
    def from_bytes(cls, content: bytes, *, source: str) -> "IgnoreRules":
        """The rules of an ignore file. Raises SnapshotRefused when it is too large or no UTF-8."""
        if len(content) > MAX_IGNORE_BYTES:
            raise SnapshotRefused(f"{source} has {len(content):,} bytes; {MAX_IGNORE_BYTES:,} are allowed.")
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise SnapshotRefused(f"{source} is not UTF-8 text. Save it as UTF-8.") from error
        return cls(text.splitlines(), source=source)

    def ignores_file(self, path: str) -> bool:
        """Whether the file stays behind, by itself or with a folder above it."""
        folder, _, _ = path.rpartition("/")
        return self.ignores_folder(folder) or self._matches(path, is_folder=False)

    def ignores_folder(self, path: str) -> bool:
        """Whether the folder stays behind with all it holds. The top (``""``) never does."""
        known = self._folders.get(path)
        if known is None:
            above, _, _ = path.rpartition("/")
            known = self.ignores_folder(above) or self._matches(path, is_folder=True)
            self._folders[path] = known
        return known

    def _matches(self, path: str, *, is_folder: bool) -> bool:
        now = time.thread_time()
        self._ends_at = self._ends_at or now + MOST_SECONDS
        if now > self._ends_at:
            raise SnapshotRefused(f"{self.source or 'The ignore file'} takes too long to apply. Use simpler patterns.")
        return _decided(_always(), path, is_folder) or _decided(self._own, path, is_folder)


def is_always_ignored(path: str) -> bool:
    """Whether no ignore file is needed to leave this file behind, by itself or with a folder above it."""
    names = path.split("/")
    return any(_decided(_always(), "/".join(names[:depth]), depth < len(names)) for depth in range(1, len(names) + 1))


def _decided(patterns: Sequence[Pattern], path: str, is_folder: bool) -> bool:
    """Whether the last line that means this path leaves it out."""
    names = path.split("/")
    for pattern in reversed(patterns):
        if pattern.matches(names, is_folder=is_folder):
            return not pattern.keeps
    return False


@cache
def _always() -> tuple[Pattern, ...]:
    return _patterns(ALWAYS_IGNORED)


def _patterns(lines: Iterable[str]) -> tuple[Pattern, ...]:
    return tuple(pattern for line in lines if (pattern := pattern_of(line)) is not None)
