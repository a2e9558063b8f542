"""Snapshots from a folder of this machine: a path that an administrator named, or an upload's staging folder."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runs.errors import SnapshotRefused
from runs.models import Snapshot
from runs.snapshots.archive import Taken
from runs.snapshots.blobs import blob_store
from runs.snapshots.git import git_facts
from runs.snapshots.ignore import IGNORE_FILES, MAX_IGNORE_BYTES, IgnoreRules
from runs.snapshots.manifest import Entry, limits_check, snapshot_keep
from runs.snapshots.paths import PathSet, clean_path, shown_name

#: What is ignored is not walked into; this bounds the walk through all the rest.
MOST_SEEN = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    path: str
    on_disk: str
    size_bytes: int
    executable: bool


def snapshot_from_folder(path: Path | str) -> Snapshot:
    """The snapshot of a folder on the server, with the facts of the git repository that it lies in, if any.

    Only for those who may read the server's files: the caller asks for that right. Links are never followed; one that
    is not ignored is refused by name, and so is everything that is no regular file. Raises SnapshotRefused,
    SnapshotTooLarge.
    """
    root = Path(path).expanduser()
    if not root.is_absolute():
        raise SnapshotRefused(f"{shown_name(str(path))} is not an absolute path. Give one that begins with /.")
    if not root.is_dir():
        raise SnapshotRefused(f"There is no folder {shown_name(str(root))} on the server.")
    return folder_take(root, git=git_facts(root)).snapshot


def folder_take(root: Path, *, git: dict[str, Any]) -> Taken:
    """Takes the files below ``root``. Empty folders are dropped. Raises as ``snapshot_from_folder`` does."""
    rules = _rules(root)
    ignored: list[str] = []
    found = list(_walk(root, rules, ignored))
    limits_check((file.path, file.size_bytes) for file in found)
    entries = [_store(root, file) for file in found]
    return Taken(snapshot=snapshot_keep(entries, git=git), ignored_count=len(ignored), ignore_file=rules.source)


def _rules(root: Path) -> IgnoreRules:
    for name in IGNORE_FILES:
        try:
            handle = _open(root, name)
        except FileNotFoundError:
            continue
        with os.fdopen(handle, "rb") as file:
            return IgnoreRules.from_bytes(file.read(MAX_IGNORE_BYTES + 1), source=name)
    return IgnoreRules()


def _walk(root: Path, rules: IgnoreRules, ignored: list[str]) -> Iterator[_Found]:
    """Every file to keep, by folder; adds what stays behind to ``ignored`` (a folder counts once)."""
    taken, seen, todo = PathSet(), 0, [""]
    while todo:
        folder = todo.pop()
        for item in _listing(root, folder):
            seen += 1
            if seen > MOST_SEEN:
                raise SnapshotRefused(
                    f"{shown_name(str(root))} holds more than {MOST_SEEN:,} files that no ignore file names. "
                    "Choose a smaller folder."
                )
            given = f"{folder}/{item.name}" if folder else item.name
            is_folder = item.is_dir(follow_symlinks=False)
            if rules.ignores_folder(given) if is_folder else rules.ignores_file(given):
                ignored.append(given)
            elif is_folder:
                clean_path(given)
                todo.append(given)
            else:
                yield _found(item, given, taken)


def _listing(root: Path, folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(root / folder) as items:
            return sorted(items, key=lambda item: item.name)
    except OSError as error:
        raise SnapshotRefused(
            f"The folder {shown_name(folder or str(root))} cannot be read: {error.strerror}."
        ) from error


def _found(item: os.DirEntry[str], given: str, taken: PathSet) -> _Found:
    path = clean_path(given)
    facts = item.stat(follow_symlinks=False)
    if stat.S_ISLNK(facts.st_mode):
        raise SnapshotRefused(
            f"{shown_name(given)} is a symbolic link. Put the file itself there, or name it in an ignore file."
        )
    if not stat.S_ISREG(facts.st_mode):
        raise SnapshotRefused(
            f"{shown_name(given)} is a device, a pipe or a socket. Remove it, or name it in an ignore file."
        )
    taken.add_file(path, given=given)
    return _Found(path=path, on_disk=given, size_bytes=facts.st_size, executable=bool(facts.st_mode & stat.S_IXUSR))


def _store(root: Path, file: _Found) -> Entry:
    """Stores one file. It may have changed since it was found: what counts is what was read."""
    try:
        handle = _open(root, file.on_disk)
    except FileNotFoundError as error:
        raise SnapshotRefused(f"{shown_name(file.path)} went away while it was being read. Try again.") from error
    with os.fdopen(handle, "rb") as stream:
        blob = blob_store(stream.read)
    return Entry(path=file.path, sha256=blob.sha256, size_bytes=blob.size_bytes, executable=file.executable)


def _open(root: Path, path: str) -> int:
    """A descriptor of a regular file below ``root``, following no link on the way, not even one that was put there
    after the walk. Raises FileNotFoundError, and SnapshotRefused for anything else."""
    *folders, name = path.split("/")
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for folder in folders:
            below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
            os.close(handle)
            handle = below
        # Without O_NONBLOCK the open of a pipe would wait for a writer.
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=handle)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SnapshotRefused(f"{shown_name(path)} cannot be read: {error.strerror}.") from error
    finally:
        os.close(handle)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise SnapshotRefused(f"{shown_name(path)} is no regular file.")
    return file
