"""What a task's processes leave in the machine's shared memory when they are killed."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from compute.backends.local.identities import Identity
from compute.backends.local.removal import tree_remove

#: Memory under a name (shm_overview(7)): of MPI between its ranks, of Python's multiprocessing, of anybody.
_PLACE = Path("/dev/shm")  # noqa: S108  the kernel's own place for it


def shared_memory_remove(identity: Identity) -> None:
    """Removes all that belongs to ``identity``, whose processes have ended: it takes up memory until somebody does, and
    would fall to the next task with this user. Nothing where tasks have no user of their own. Idempotent."""
    if identity.uid is None:
        return
    with contextlib.suppress(FileNotFoundError), os.scandir(_PLACE) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.stat(follow_symlinks=False).st_uid != identity.uid:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    tree_remove(_PLACE / entry.name)
                else:
                    os.unlink(entry.path)
