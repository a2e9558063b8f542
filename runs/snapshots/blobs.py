"""The content store: every file once, under its SHA-256, in ``<data folder>/snapshots/blobs/ab/ab12…``.

A blob appears under its name only when it is whole and on the disk (write, fsync, rename), so any number of
processes may store the same content at once, and a crash leaves at most a file in ``snapshots/tmp``.
"""

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from runs.errors import SnapshotRefused

PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Content in the store."""

    sha256: str
    size_bytes: int


def blob_path(sha256: str) -> Path:
    """Where content of this SHA-256 lies."""
    return _root() / "blobs" / sha256[:2] / sha256


def blob_store(read: Callable[[int], bytes]) -> Blob:
    """Stores everything that ``read(size)`` gives until it gives nothing. Content of up to one piece that is there
    already is not written again. Raises SnapshotRefused when the disk is full; what ``read`` raises goes through."""
    first = read(PIECE_BYTES)
    digest = hashlib.sha256(first)
    second = read(PIECE_BYTES) if first else b""
    if not second and _is_stored(digest.hexdigest(), len(first)):
        return Blob(sha256=digest.hexdigest(), size_bytes=len(first))
    try:
        return _write(first, second, read, digest)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SnapshotRefused(
                f"The server's disk is full: {settings.DATA_DIR} has no room for the upload. "
                "Ask an administrator to free some."
            ) from error
        raise


def _write(first: bytes, second: bytes, read: Callable[[int], bytes], digest: "hashlib._Hash") -> Blob:
    handle, name = tempfile.mkstemp(dir=private_folder(_root() / "tmp"))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(first)
            size, piece = len(first), second
            while piece:
                digest.update(piece)
                file.write(piece)
                size += len(piece)
                piece = read(PIECE_BYTES)
            sha256 = digest.hexdigest()
            if not _is_stored(sha256, size):
                file.flush()
                os.fsync(file.fileno())
                private_folder(blob_path(sha256).parent)
                os.replace(name, blob_path(sha256))
        return Blob(sha256=sha256, size_bytes=size)
    finally:
        Path(name).unlink(missing_ok=True)


def _is_stored(sha256: str, size_bytes: int) -> bool:
    try:
        return blob_path(sha256).stat().st_size == size_bytes
    except FileNotFoundError:
        return False


def _root() -> Path:
    return private_folder(settings.DATA_DIR / "snapshots")


def private_folder(path: Path) -> Path:
    """``path`` as a folder for the server's user alone; what is missing above it is made alike."""
    if not path.is_dir():
        private_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
    return path
