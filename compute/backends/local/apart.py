"""A place and a user of its own for building what somebody brings: it owns nothing that other builds use.

``<data folder>/apart/<name>`` belongs to an id from the end of ``TRAINHOUSE_RUN_USER_IDS``, which no task and no other
such place gets while the folder is there. Not root, the place is the server's own user's.
"""

from __future__ import annotations

import os
from pathlib import Path

from compute.backends.local.folders import Folders
from compute.backends.local.identities import Identities, Identity


def apart_ensure(name: str, *, folders: Folders, identities: Identities, in_use: set[int]) -> Path:
    """The place called ``name``, made when it is missing, with a user that is not ``in_use``. To be called by one
    process at a time. Raises LookupError when no id is left."""
    path = folders.apart_place(name)
    if path.is_dir():
        return path
    uid = identities.last_free(in_use) if identities.separate else os.geteuid()
    fresh = path.with_name(f".fresh-{name}")
    if fresh.is_dir():
        fresh.rmdir()  # what a crash left, which nobody has entered yet
    fresh.mkdir(mode=0o700)
    os.chown(fresh, uid, uid)
    fresh.rename(path)
    return path


def apart_identity(name: str, *, folders: Folders, identities: Identities) -> Identity:
    """Who builds there. The build user's group comes along: it may read the settings of the package index. Raises
    FileNotFoundError when there is no such place."""
    owner = folders.apart_place(name).stat().st_uid
    if not identities.separate:
        return identities.build
    return Identity(name=f"trainhouse-build-{owner}", uid=owner, groups=(identities.build.owner,))


def apart_owners(folders: Folders) -> set[int]:
    """The users of all such places."""
    with os.scandir(folders.apart) as entries:
        return {entry.stat(follow_symlinks=False).st_uid for entry in entries}
