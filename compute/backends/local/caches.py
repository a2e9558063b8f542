"""Folders for what scripts download and may use again: pretrained weights, data sets of the hubs.

``<data folder>/caches/<key>``, one for all tasks of equal ``TaskPlan.cache_key``. Each task has a user id of its own,
so such a folder belongs to a group of its own: an id from the end of the same range, which no task gets while the
folder is there. The folder passes its group on (set-group-id), and tasks make files that their group can write.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from compute.backends.local.folders import Folders
from compute.backends.local.identities import Identities
from compute.backends.local.removal import tree_remove

#: Which library finds its part by which variable; the parts are made by the libraries.
VARIABLES = {
    "KERAS_HOME": "keras",
    "KAGGLEHUB_CACHE": "kagglehub",
    "TFHUB_CACHE_DIR": "tfhub",
    "HF_HOME": "huggingface",
}


def cache_ensure(key: str, *, folders: Folders, identities: Identities, in_use: Collection[int]) -> Path:
    """The folder of ``key``, made when it is missing, with a group that is not ``in_use``. To be called by one process
    at a time. Raises LookupError when no id is left."""
    path = folders.cache(key)
    if path.is_dir():
        return path
    group = identities.last_free({*in_use, *cache_groups(folders)}) if identities.separate else os.getegid()
    fresh = path.with_name(f".fresh-{key}")
    if fresh.is_dir():
        fresh.rmdir()  # what a crash left, which nobody has entered yet
    fresh.mkdir(mode=0o700)
    os.chown(fresh, os.geteuid(), group)
    fresh.chmod(0o2770 if identities.separate else 0o700)  # after the change of group, which clears the bit
    fresh.rename(path)
    return path


def cache_groups(folders: Folders) -> set[int]:
    """The groups of all such folders."""
    with os.scandir(folders.caches) as entries:
        return {entry.stat(follow_symlinks=False).st_gid for entry in entries}


def cache_group(key: str, *, folders: Folders) -> tuple[int, ...]:
    """The groups that a task needs for the folder of ``key``: its one, or none when there is no folder."""
    try:
        return (folders.cache(key).stat().st_gid,) if key else ()
    except FileNotFoundError:
        return ()


def caches_sizes(folders: Folders) -> dict[str, int]:
    """The bytes in each folder, by key. Reads every name below them."""
    if not folders.caches.is_dir():
        return {}
    return {
        path.name: sum(
            os.lstat(os.path.join(place, name)).st_size for place, _, names in os.walk(path) for name in names
        )
        for path in sorted(folders.caches.iterdir())
    }


def cache_remove(key: str, *, folders: Folders) -> None:
    """Removes the folder of ``key``. Idempotent. None of its tasks may be alive: they would keep its group, which the
    next folder may get."""
    tree_remove(folders.cache(key))


def cache_environ(path: Path) -> dict[str, str]:
    """The variables that lead libraries there."""
    return {name: str(path / part) for name, part in VARIABLES.items()}
