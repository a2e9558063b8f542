"""An environment on the disk: its mark, its interpreter, whether it is whole.

The mark ``.trainhouse-ready.json`` is written by the server after everything else, so a folder without it is the
remains of a build that did not end. It holds the digest, the lock, the size, the Python's version and what is to be
known of the folders.
"""

import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from compute.backends.base import ComputeBackend
from compute.plan import EnvironmentRef
from runs.environments.wholeness import folder_damaged
from runs.models import Environment

MARK = ".trainhouse-ready.json"
_MOST_MARK_BYTES = 8 * 1024 * 1024


def environment_ref(environment: Environment) -> EnvironmentRef:
    """The environment as a launch plan names it. Raises ValueError before it was built."""
    if not environment.path:
        raise ValueError(f"Environment {environment} has no path: it was not built yet.")
    path = Path(environment.path)
    return EnvironmentRef(digest=environment.digest, python=path / "bin" / "python", path=path)


def environment_is_intact(environment: Environment) -> bool:
    """Whether the environment lies where it was built, finished, and no file has gone. Takes some milliseconds."""
    return bool(environment.path) and intact_mark(Path(environment.path), environment.digest) is not None


def environment_is_there(environment: Environment) -> bool:
    """Whether it lies where it was built, finished, with its interpreter: one file is read, for a page of many."""
    return bool(environment.path) and _mark(Path(environment.path), environment.digest) is not None


def intact_mark(path: Path, digest: str) -> dict[str, Any] | None:
    """The mark of the environment at ``path``, when it is the server's own, of this digest, and the interpreter and
    all other files are there; None otherwise."""
    mark = _mark(path, digest)
    return None if mark is None or folder_damaged(path, mark.get("folders", {})) else mark


def mark_write(path: Path, content: dict[str, Any]) -> None:
    """Marks the environment at ``path`` as finished. Whatever lies under the mark's name is replaced, not followed."""
    with _opened(path) as folder:
        _unlink(folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(MARK, flags, 0o444, dir_fd=folder), "w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())


def mark_remove(path: Path) -> None:
    """Takes the mark off, so that what is being removed counts for nothing. Idempotent; ``path`` may be absent."""
    with suppress(FileNotFoundError, NotADirectoryError), _opened(path) as folder:
        _unlink(folder)


def remains_remove(backend: ComputeBackend, path: Path, *, within_s: float) -> None:
    """Removes what a build has laid down at ``path``. Idempotent. What resists is tried for ``within_s``; then the
    OSError is raised."""
    give_up_at = time.monotonic() + within_s
    while True:
        try:
            backend.unseal_and_remove(path)
            return
        except OSError:
            # The commands of a builder that was killed die a moment after it, and may still be writing.
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.2)


def _mark(path: Path, digest: str) -> dict[str, Any] | None:
    """The user that builds could lay down a mark too, so its owner counts."""
    try:
        handle = os.open(path / MARK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            facts = os.fstat(handle)
            if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
                return None
            content = json.loads(file.read(_MOST_MARK_BYTES))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("digest") != digest:
        return None
    return content if os.access(path / "bin" / "python", os.X_OK) else None


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A descriptor of the environment's folder, writable for the moment: sealed, its owner may not write (root may)."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    mode = stat.S_IMODE(os.fstat(folder).st_mode)
    try:
        if os.geteuid() != 0:
            os.fchmod(folder, mode | stat.S_IWUSR)
        yield folder
    finally:
        if os.geteuid() != 0:
            os.fchmod(folder, mode)
        os.close(folder)


def _unlink(folder: int) -> None:
    with suppress(FileNotFoundError):
        os.unlink(MARK, dir_fd=folder)
