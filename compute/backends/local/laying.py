"""Laying out a task's folder, for the harness to find (docs/architecture.md, "The task folder").

It is laid beside its final name and renamed when it is whole, so a folder of the final name is always a finished one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Collection, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from compute.backends.local.apart import apart_owners
from compute.backends.local.caches import cache_ensure, cache_groups
from compute.backends.local.environ import script_environ
from compute.backends.local.folders import Folders
from compute.backends.local.handling import path_names
from compute.backends.local.identities import Identities, Identity
from compute.backends.local.processes import user_ids_of_processes
from compute.backends.local.removal import tree_remove
from compute.errors import LaunchRefused
from compute.plan import SnapshotFile, TaskPlan

TASK_SCHEMA = 1
_FOLDERS = ("work", "uploads", "home", "tmp", "spool")
_FICLONE = 0x40049409  # linux/fs.h: the copy shares its blocks until one side is written (btrfs, XFS, bcachefs)


def task_lay(
    plan: TaskPlan, *, folders: Folders, identities: Identities, tools: Path, beside: Collection[str] = ()
) -> Path:
    """Lays out the folder of ``plan`` and returns it. Idempotent; what a crash left half laid is laid again.

    It gets a user of its own, or that of the tasks with the keys ``beside``, as far as they are laid out.

    One task is laid at a time on this machine: the choice of a user id looks at the folders of all others. Raises
    LaunchRefused, with nothing left behind, for a path that leaves the folder, a missing file of the snapshot, a full
    disk, and a range of user ids that is used up.
    """
    final, fresh = folders.task(plan.key), folders.half_laid(plan.key)
    with alone(folders):
        if final.is_dir():
            return final
        tree_remove(fresh)
        try:
            in_use = ids_in_use(folders, identities)
            cache = _cache(plan, folders, identities, in_use)
            identity = _identity_beside(beside, folders, identities) or identities.free_for(
                task_id_of(plan), in_use=in_use | cache_groups(folders)
            )
        except LookupError as error:
            raise LaunchRefused(str(error)) from error
        try:
            fresh.mkdir(mode=0o700)
            os.chown(fresh, identity.owner, identity.owner)
            environ = script_environ(plan, folder=final, tools=tools, identity=identity, cache=cache)
            _fill(fresh, plan, identity, environ=environ)
            fresh.rename(final)
        except OSError as error:
            tree_remove(fresh)
            raise LaunchRefused(_trouble(final, error)) from error
    return final


def task_id_of(plan: TaskPlan) -> int:
    """The task's number, which its token begins with (``<task id>.<secret>``); 0 when it does not."""
    head = plan.token.partition(".")[0]
    return int(head) if head.isascii() and head.isdigit() else 0


def _identity_beside(keys: Collection[str], folders: Folders, identities: Identities) -> Identity | None:
    for key in keys:
        with contextlib.suppress(FileNotFoundError):
            return identities.task(folders.task(key).stat().st_uid)
    return None


def _cache(plan: TaskPlan, folders: Folders, identities: Identities, in_use: set[int]) -> Path | None:
    if not plan.cache_key:
        return None
    try:
        return cache_ensure(plan.cache_key, folders=folders, identities=identities, in_use=in_use)
    except OSError as error:
        raise LaunchRefused(_trouble(folders.cache(plan.cache_key), error)) from error


def ids_in_use(folders: Folders, identities: Identities) -> set[int]:
    """The user ids of tasks, of places for builds and of processes; none where all are the server's user."""
    if not identities.separate:
        return set()
    with os.scandir(folders.tasks) as entries:
        owners = {entry.stat(follow_symlinks=False).st_uid for entry in entries}
    return owners | user_ids_of_processes() | apart_owners(folders)


def _fill(folder: Path, plan: TaskPlan, identity: Identity, *, environ: dict[str, str]) -> None:
    for name in _FOLDERS:
        _folder_make(folder / name, identity)
    work = folder / "work"
    for file in plan.snapshot:
        _file_lay(file, work, identity)
    for name in ("outputs", "logs"):
        _folder_make(work / name, identity)
    document: dict[str, Any] = {
        "schema": TASK_SCHEMA,
        "task": plan.key,
        "task_id": task_id_of(plan),
        "role": plan.role,
        "index": plan.index,
        "labels": plan.labels,
        "argv": list(plan.argv),
        "environ": environ,
        "grace_s": plan.grace_s,
        "log_limit_bytes": plan.log_limit_bytes,
        "gpu_probe": plan.gpu_probe,
        "gpu_indexes": list(plan.gpu_indexes),
    }
    if plan.cluster is not None:
        document["cluster"] = asdict(plan.cluster)
    if plan.ranks:
        document["ranks"] = [str(folder.parent / key) for key in plan.ranks]
    if plan.is_rank:
        document["is_rank"] = True
    for name, text in (("task.json", json.dumps(document)), ("token", plan.token), ("server", plan.server_url)):
        _secret_make(folder / name, text, identity)


def _file_lay(file: SnapshotFile, work: Path, identity: Identity) -> None:
    names = path_names(file.path)
    parent = work
    for name in names[:-1]:
        parent = parent / name
        _folder_make(parent, identity)
    destination = parent / names[-1]
    with (
        open(file.source, "rb") as source,
        open(os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as copy,
    ):
        try:
            fcntl.ioctl(copy.fileno(), _FICLONE, source.fileno())
        except OSError:
            shutil.copyfileobj(source, copy, 1024 * 1024)
        os.fchown(copy.fileno(), identity.owner, identity.owner)
        os.fchmod(copy.fileno(), 0o755 if file.executable else 0o644)


def _folder_make(path: Path, identity: Identity) -> None:
    """Makes one folder of the task; a snapshot may have brought a file of that name, which then stays."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o755)
        os.chown(path, identity.owner, identity.owner)


def _secret_make(path: Path, text: str, identity: Identity) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        os.fchown(descriptor, identity.owner, identity.owner)


@contextlib.contextmanager
def alone(folders: Folders) -> Iterator[None]:
    """Held by whoever chooses an id of the range, one process of this machine at a time."""
    descriptor = os.open(folders.tasks / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _trouble(folder: Path, error: OSError) -> str:
    what = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk of {folder.parent} is full, so the task's folder cannot be laid out. Free some space there."
    return f"The task's folder {folder} cannot be laid out: {what} ({error.filename or 'no file named'})."
