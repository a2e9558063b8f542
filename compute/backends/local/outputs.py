"""What a task has put out: listed, opened, and brought into the server's store."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from compute.backends.local import handling
from compute.plan import OutputFile

#: The first part of an output's path, and where that lies below the task's folder.
ROOTS: dict[str, tuple[str, ...]] = {"outputs": ("work", "outputs"), "uploads": ("uploads",)}
_MOST_FILES = 100_000
#: A longer path has no place below the server's own folders, whose paths end at 4,096 bytes.
_MOST_PATH_BYTES = 2048
_MOST_PATH_CHARACTERS = 1024
_PIECE_BYTES = 1024 * 1024


def outputs_list(folder: Path) -> Iterator[OutputFile]:
    """The regular files of the task's own below its roots, by path; at most 100,000. Links, names that are
    no UTF-8, and paths of more than 1,024 characters or 2,048 bytes are passed over."""
    found: list[OutputFile] = []
    with contextlib.suppress(FileNotFoundError), handling.opened(folder) as inside:
        owner = os.fstat(inside).st_uid
        for root, names in ROOTS.items():
            with contextlib.suppress(FileNotFoundError), handling.opened_below(inside, names) as top:
                found.extend(_walk(top, root, owner))
    yield from sorted(found, key=lambda file: file.path)


def output_open(folder: Path, path: str) -> int:
    """A read-only descriptor of the output ``path``. Raises FileNotFoundError as the seam says."""
    with _parent(folder, path) as (parent, name):
        return handling.file_open(parent, name)


def output_keep(folder: Path, path: str, destination: Path) -> int:
    """Moves the output ``path`` to ``destination`` and returns its size in bytes.

    Called when the task's processes have ended: a process that still had the file open could go on changing it. Moved
    within one file system, copied otherwise; a file with several names is copied, for the others to stay the task's.
    The result belongs to the server alone. Raises FileNotFoundError as the seam says, and then leaves no destination.
    """
    destination.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _parent(folder, path) as (parent, name):
        descriptor = handling.file_open(parent, name)
        try:
            found = os.fstat(descriptor)
            if found.st_nlink > 1 or not _moved(parent, name, destination, found):
                _copied(descriptor, destination)
            else:
                os.fchown(descriptor, os.geteuid(), os.getegid())
                os.fchmod(descriptor, 0o600)
            return found.st_size
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _parent(folder: Path, path: str) -> Iterator[tuple[int, str]]:
    root, *names = handling.path_names(path)
    if root not in ROOTS or not names:
        raise FileNotFoundError(f"{path!r} is no output: those begin with {' or '.join(f'{name}/' for name in ROOTS)}.")
    below = (*ROOTS[root], *names[:-1])
    with handling.opened(folder) as inside, handling.opened_below(inside, below) as parent:
        if os.fstat(parent).st_uid != os.fstat(inside).st_uid:
            raise FileNotFoundError(f"{path!r} lies in a folder that is not the task's own.")
        yield parent, names[-1]


def _walk(top: int, root: str, owner: int) -> Iterator[OutputFile]:
    waiting = [(os.dup(top), root)]
    count = 0
    try:
        while waiting:
            folder, prefix = waiting.pop()
            try:
                with os.scandir(folder) as entries:
                    found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
                for name, status in found:
                    path = f"{prefix}/{name}"
                    if not _is_storable(path):
                        continue
                    if stat.S_ISDIR(status.st_mode) and len(waiting) < 500:
                        with contextlib.suppress(FileNotFoundError), handling.opened_below(folder, (name,)) as below:
                            waiting.append((os.dup(below), path))
                    elif stat.S_ISREG(status.st_mode) and status.st_uid == owner:
                        yield OutputFile(path=path, size_bytes=status.st_size, modified_at=status.st_mtime)
                        count += 1
                        if count >= _MOST_FILES:
                            return
            finally:
                os.close(folder)
    finally:
        for folder, _ in waiting:
            os.close(folder)


def _is_storable(path: str) -> bool:
    try:
        return len(path.encode()) <= _MOST_PATH_BYTES and len(path) <= _MOST_PATH_CHARACTERS
    except UnicodeEncodeError:
        return False


def _moved(parent: int, name: str, destination: Path, expected: os.stat_result) -> bool:
    """Renames, and checks that what arrived is what was opened. False across file systems."""
    try:
        os.rename(name, destination, src_dir_fd=parent)
    except OSError as error:
        if error.errno == errno.EXDEV:
            return False
        raise
    arrived = os.lstat(destination)
    if (arrived.st_dev, arrived.st_ino) != (expected.st_dev, expected.st_ino):
        os.unlink(destination)
        raise FileNotFoundError(f"{name!r} was swapped for another file while it was moved.")
    return True


def _copied(descriptor: int, destination: Path) -> None:
    fresh = destination.with_name(f".{secrets.token_hex(8)}")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as copy:
            _data_copied(descriptor, copy.fileno())
        os.replace(fresh, destination)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def _data_copied(source: int, copy: int) -> None:
    """Copies what the file holds; its holes, which may be terabytes that never took a block, stay holes."""
    size, at = os.fstat(source).st_size, 0
    os.ftruncate(copy, size)
    while at < size:
        try:
            at = os.lseek(source, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole from here on
                return
            raise
        end = os.lseek(source, at, os.SEEK_HOLE)
        while at < end:
            piece = os.pread(source, min(_PIECE_BYTES, end - at), at)
            if not piece:
                return
            at += os.pwrite(copy, piece, at)
