"""An environment on the disk: its mark, its interpreter, whether it is whole.

The mark ``.trainhouse-ready.json`` is written by the server after everything else, so a folder without it is the
remains of a build that did not end.
"""

import contextlib
import json
import os
import stat
from pathlib import Path
from typing import Any

from compute.plan import EnvironmentRef
from runs.models import Environment

MARK = ".trainhouse-ready.json"
_MOST_MARK_BYTES = 65_536


def environment_ref(environment: Environment) -> EnvironmentRef:
    """The environment as a launch plan names it. Raises ValueError before it was built."""
    if not environment.path:
        raise ValueError(f"Environment {environment} has no path: it was not built yet.")
    path = Path(environment.path)
    return EnvironmentRef(digest=environment.digest, python=path / "bin" / "python", path=path)


def environment_is_intact(environment: Environment) -> bool:
    """Whether the environment lies where it was built, finished, with its interpreter. Reads two files, no more."""
    if not environment.path:
        return False
    path = Path(environment.path)
    mark = mark_read(path)
    python = path / "bin" / "python"
    return mark is not None and mark.get("digest") == environment.digest and os.access(python, os.X_OK)


def mark_write(path: Path, content: dict[str, Any]) -> None:
    """Marks the environment at ``path`` as finished. Whatever lies under the mark's name is replaced, not followed.

    The folder may be sealed already: its owner opens it for the moment, root need not.
    """
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    mode = stat.S_IMODE(os.fstat(folder).st_mode)
    try:
        if os.geteuid() != 0:
            os.fchmod(folder, mode | stat.S_IWUSR)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(MARK, dir_fd=folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(MARK, flags, 0o444, dir_fd=folder), "w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
    finally:
        os.fchmod(folder, mode)
        os.close(folder)


def mark_read(path: Path) -> dict[str, Any] | None:
    """The mark's content, or None when there is none that can be understood."""
    try:
        handle = os.open(path / MARK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            content = json.loads(file.read(_MOST_MARK_BYTES))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def size_on_disk(path: Path) -> int:
    """The bytes of all files below ``path``, each counted once however many names it has there."""
    total, seen = 0, set()
    for folder, _, names in os.walk(path):
        for name in names:
            facts = os.lstat(os.path.join(folder, name))
            if facts.st_ino not in seen:
                seen.add(facts.st_ino)
                total += facts.st_size
    return total
