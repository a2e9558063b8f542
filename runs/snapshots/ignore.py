"""Which files of a source folder stay behind.

One ignore file counts, the first of ``IGNORE_FILES`` that lies at the top of the folder, as the estimator did it;
its lines follow git's rules (https://git-scm.com/docs/gitignore). Like git, a folder that is ignored is ignored with
all it holds: a later ``!`` cannot bring back a single file of it. ``ALWAYS_IGNORED`` cannot be brought back at all.
"""

from collections.abc import Iterable
from functools import cache

from pathspec import GitIgnoreSpec

from runs.errors import SnapshotRefused

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


class IgnoreRules:
    """Decides for paths relative to the top of the source folder."""

    def __init__(self, lines: Iterable[str] = (), *, source: str = "") -> None:
        """``source`` names the ignore file that ``lines`` come from. Raises SnapshotRefused for a line that is no
        pattern."""
        self.source = source
        try:
            self._own = GitIgnoreSpec.from_lines(lines)
        except ValueError as error:
            raise SnapshotRefused(f"{source} has a line that is no ignore pattern: {error}") from error
        self._folders: dict[str, bool] = {"": False}

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
        return self.ignores_folder(folder) or self._matches(path)

    def ignores_folder(self, path: str) -> bool:
        """Whether the folder stays behind with all it holds. The top (``""``) never does."""
        known = self._folders.get(path)
        if known is None:
            above, _, _ = path.rpartition("/")
            known = self.ignores_folder(above) or self._matches(path + "/")
            self._folders[path] = known
        return known

    def _matches(self, path: str) -> bool:
        return _always().match_file(path) or self._own.match_file(path)


def is_always_ignored(path: str) -> bool:
    """Whether no ignore file is needed to leave this file behind."""
    return _always().match_file(path)


@cache
def _always() -> GitIgnoreSpec:
    return GitIgnoreSpec.from_lines(ALWAYS_IGNORED)
