"""Touching what a task's folder holds, where everything may have been prepared against us.

The folder itself is ours to name (its parent is the server's), but below it the task's user creates, swaps and links
as it likes. So every step goes from an open directory to the next name without following links, and what is opened
has to be a regular file of the task's user.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Non-blocking, so that a named pipe in the place of a file does not stop the server.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[int]:
    """A descriptor of ``folder`` itself. Raises FileNotFoundError when it is absent or no folder."""
    descriptor = _open(folder, _DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def opened_below(folder: int, names: tuple[str, ...]) -> Iterator[int]:
    """A descriptor of the folder reached by ``names`` from ``folder``, no link followed. Raises FileNotFoundError."""
    current = os.dup(folder)
    try:
        for name in names:
            below = _open(name, _DIRECTORY, dir_fd=current)
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)


def path_names(path: str) -> tuple[str, ...]:
    """The parts of a relative path. Raises FileNotFoundError for one that is empty, absolute or points upwards."""
    parts = PurePosixPath(path).parts
    if not parts or parts[0] == "/" or ".." in parts or "\0" in path:
        raise FileNotFoundError(f"{path!r} names no file of a task.")
    return parts


def file_open(folder: int, name: str) -> int:
    """A read-only descriptor of the regular file ``name``, owned by the owner of the task's folder.

    ``folder`` is a descriptor; the owner is read from it, so it is the task's folder or one that the task's user owns.
    Raises FileNotFoundError for everything that is not such a file.
    """
    descriptor = _open(name, _FILE, dir_fd=folder)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.fstat(folder).st_uid:
        os.close(descriptor)
        raise FileNotFoundError(f"{name!r} is no regular file of this task's own.")
    return descriptor


def file_read(folder: int, name: str, *, most: int) -> bytes | None:
    """Up to ``most`` bytes of ``name``, or None when there is no such regular file."""
    try:
        descriptor = file_open(folder, name)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(most)


def json_object(folder: int, name: str) -> dict[str, Any] | None:
    """The JSON object in ``name``, or None when there is none of at most 64 KiB."""
    text = file_read(folder, name, most=65536)
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def file_replace(folder: int, name: str, data: bytes, *, owner: int) -> None:
    """Puts ``data`` in the place of ``name`` in one step, as a file that ``owner`` alone may read and write."""
    fresh = f".{name}.{secrets.token_hex(8)}"
    descriptor = os.open(
        fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if owner != os.geteuid():
                os.fchown(file.fileno(), owner, owner)
        os.replace(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=folder)
        raise


def exists(folder: int, name: str) -> bool:
    """True when something of that name is there, whatever it is."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def lock_is_held(folder: int, name: str) -> bool:
    """True while a process holds the exclusive flock on ``name``.

    The question itself holds a shared lock for some microseconds; the harness tries for 0.3 s when it takes its own.
    """
    try:
        descriptor = file_open(folder, name)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _open(name: str | Path, flags: int, *, dir_fd: int | None = None) -> int:
    try:
        return os.open(name, flags, dir_fd=dir_fd)
    except OSError as error:
        # A link, a socket, a device without its driver, a file for a folder: to the caller there is no such thing.
        raise FileNotFoundError(error.errno, f"cannot be opened as wanted: {error.strerror}", str(name)) from error
