"""Removing a tree that somebody else has made: as deep, as closed and as full of links as they liked.

Nothing is followed and nothing recurses: folders found inside are moved up to the top and emptied there, so any depth
needs two open descriptors.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def tree_remove(path: Path) -> None:
    """Removes the folder ``path`` and everything below. Idempotent; absent is success.

    Raises OSError when something cannot be removed. What ran in the tree has to have ended: a process that goes on
    making files wins.
    """
    try:
        _open_up(os.fspath(path), None)
        top = os.open(path, _DIRECTORY)
    except FileNotFoundError:
        return
    try:
        serial = 0
        while folders := _files_removed(top):
            for folder in folders:
                serial = _folder_emptied(top, folder, serial)
                os.rmdir(folder, dir_fd=top)
    finally:
        os.close(top)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(path)


def _folder_emptied(top: int, folder: str, serial: int) -> int:
    _open_up(folder, top)
    inside = os.open(folder, _DIRECTORY, dir_fd=top)
    try:
        for name in _files_removed(inside):
            _open_up(name, inside)
            while True:
                serial += 1
                try:
                    os.rename(name, f".removing-{serial}", src_dir_fd=inside, dst_dir_fd=top)
                    break
                except OSError as error:
                    # The name may be taken by something of the tree's own.
                    if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                        raise
    finally:
        os.close(inside)
    return serial


def _files_removed(folder: int) -> list[str]:
    """Unlinks all that is no folder, and returns the names of the folders."""
    with os.scandir(folder) as entries:
        names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in names:
        if not is_folder:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
    return [name for name, is_folder in names if is_folder]


def _open_up(name: str, folder: int | None) -> None:
    """Gives the owner back the rights to a folder that it closed to itself. Root needs none, and changes nothing."""
    if os.geteuid() == 0:
        return
    mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    if stat.S_ISDIR(mode) and mode & 0o700 != 0o700:
        os.chmod(name, 0o700, dir_fd=folder)
