"""Whose rights a build and a task run with.

Started as root, a build runs as the first user id of ``TRAINHOUSE_RUN_USER_IDS`` and every task as an id of its own
from the rest of the range, so that a script reaches its own task's files and nothing else. The ids need no entry in
the system's list of users; nothing else on the machine may use them. Not root: everything is the server's own user.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

_RANGE = re.compile(r"\s*(\d+)\s*-\s*(\d+)\s*")
_HIGHEST_UID = 2**32 - 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A user to run as. ``uid`` None: the server's own, nothing is switched. ``name`` is what USER says."""

    name: str
    uid: int | None = None
    groups: tuple[int, ...] = ()

    @property
    def owner(self) -> int:
        """The user id that owns what this identity makes."""
        return os.geteuid() if self.uid is None else self.uid


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """The ids of one installation: ``first`` is the build's, the others are the tasks'."""

    first: int
    last: int
    separate: bool

    @classmethod
    def parse(cls, text: str, *, separate: bool | None = None) -> Identities:
        """From ``first-last``. ``separate`` None: separate users exactly when this process is root.

        Raises ValueError with a sentence when ``text`` is no range of at least two ids above 999.
        """
        match = _RANGE.fullmatch(text)
        first, last = (int(match[1]), int(match[2])) if match else (0, 0)
        if first < 1000 or last <= first or last > _HIGHEST_UID:
            raise ValueError(
                f"TRAINHOUSE_RUN_USER_IDS is {text!r}; it must be a range of at least two user ids from 1000 on, "
                "such as 200000-265535."
            )
        return cls(first=first, last=last, separate=os.geteuid() == 0 if separate is None else separate)

    @property
    def build(self) -> Identity:
        """The one user of all builds."""
        return Identity(name="trainhouse-build", uid=self.first if self.separate else None)

    def task(self, owner: int) -> Identity:
        """The identity of a task whose folder belongs to ``owner``."""
        return Identity(name=f"trainhouse-{owner}", uid=owner if self.separate else None)

    def free_for(self, task_id: int, *, in_use: Collection[int]) -> Identity:
        """The next identity from the task's own place in the range on that nobody uses. Raises LookupError if none."""
        if not self.separate:
            return Identity(name="trainhouse")
        count = self.last - self.first
        for step in range(count):
            uid = self.first + 1 + (task_id + step) % count
            if uid not in in_use:
                return self.task(uid)
        raise LookupError(
            f"All {count} user ids of TRAINHOUSE_RUN_USER_IDS ({self.first + 1}-{self.last}) are in use by tasks. "
            "Widen the range."
        )

    def last_free(self, in_use: Collection[int]) -> int:
        """An id for something else than a task: from the end of the range. Raises LookupError if none is free."""
        for number in range(self.last, self.first, -1):
            if number not in in_use:
                return number
        raise LookupError(
            f"All ids of TRAINHOUSE_RUN_USER_IDS ({self.first + 1}-{self.last}) are in use. Widen the range."
        )


def gpu_groups(devices: Path = Path("/dev")) -> tuple[int, ...]:
    """The groups that a user needs to open the GPUs' device nodes; none where they are open to all."""
    groups: set[int] = set()
    for path in devices.glob("nvidia*"):
        try:
            found = path.stat()
        except OSError:
            continue
        open_to_all = found.st_mode & 0o006 == 0o006
        if stat.S_ISCHR(found.st_mode) and not open_to_all and found.st_mode & 0o060 and found.st_gid != 0:
            groups.add(found.st_gid)
    return tuple(sorted(groups))


def barred_folder(path: Path, identity: Identity) -> Path | None:
    """The first folder on the way to ``path`` that ``identity`` may not pass through, or None."""
    if identity.uid is None:
        return None
    for folder in reversed(path.absolute().parents):
        found = folder.stat()
        if found.st_uid == identity.uid:
            bit = stat.S_IXUSR
        elif found.st_gid in (identity.uid, *identity.groups):
            bit = stat.S_IXGRP
        else:
            bit = stat.S_IXOTH
        if not found.st_mode & bit:
            return folder
    return None
