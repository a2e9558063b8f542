"""A folder on its way in from a browser: files in batches, staged until the last one is here.

Staged files lie in ``<data folder>/tmp/uploads/<id>/files`` under their own names. A batch may be sent again after a
lost answer: the same file with the same content is no conflict.
"""

import fcntl
import filecmp
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.utils import timezone

from runs.errors import SnapshotRefused, SnapshotTooLarge
from runs.models import Snapshot, Upload
from runs.snapshots.archive import Taken
from runs.snapshots.blobs import PIECE_BYTES, private_folder
from runs.snapshots.folder import folder_take
from runs.snapshots.ignore import is_always_ignored
from runs.snapshots.manifest import megabytes
from runs.snapshots.paths import PathSet, clean_path, shown_name

#: Staging may hold this many times the snapshot's limits, since an ignore file takes effect only at the end.
STAGING_FACTOR = 2


def upload_begin(owner: Any, name: str) -> Upload:
    """A new upload of ``owner``. ``name`` is the chosen folder's name: when every path begins with it, it is taken
    off, so that the files are relative to the folder whichever way the browser names them."""
    return Upload.objects.create(owner=owner, name=name.strip("/")[:255])


def upload_add(upload: Upload, files: Iterable[tuple[str, IO[bytes]]]) -> int:
    """Stages a batch of ``(path, file)`` and returns how many files were staged; what is always ignored is passed
    over. All paths are checked before the first file is written. Raises SnapshotRefused, SnapshotTooLarge."""
    batch = _checked(files)
    with _alone(upload):
        if _finished(upload) is not None:
            raise SnapshotRefused("This upload is finished; its files cannot be changed. Begin a new one.")
        size, count = _staged(upload)
        for path, file in batch:
            size += file.seek(0, os.SEEK_END)
            file.seek(0)
            count += 1
            _check_room(size, count)
            _stage(upload, path, file)
    return len(batch)


def upload_take(upload: Upload) -> Taken:
    """Makes the snapshot and removes the staging folder; a second call gives the same snapshot.

    After a refusal the staged files stay, until more are sent or the upload is swept. Raises SnapshotRefused,
    SnapshotTooLarge.
    """
    with _alone(upload):
        finished = _finished(upload)
        if finished is not None:
            return Taken(snapshot=finished)
        root = private_folder(_folder(upload.pk) / "files")
        wrapped = bool(upload.name) and [item.name for item in root.iterdir()] == [upload.name]
        taken = folder_take(root / upload.name if wrapped and (root / upload.name).is_dir() else root, git={})
        Upload.objects.filter(pk=upload.pk).update(snapshot=taken.snapshot)
        upload.snapshot = taken.snapshot
        shutil.rmtree(root)
    return taken


def uploads_sweep(older_than: timedelta) -> int:
    """Deletes uploads begun before ``older_than`` ago with their staging, and staging that no upload knows (a crash);
    returns how many uploads. Snapshots stay. Idempotent."""
    begun_before = timezone.now() - older_than
    old = list(Upload.objects.filter(created_at__lt=begun_before))
    for upload in old:
        shutil.rmtree(_folder(upload.pk), ignore_errors=True)
    Upload.objects.filter(pk__in=[upload.pk for upload in old]).delete()
    for folder in _root().iterdir():
        try:
            known = Upload.objects.filter(pk=uuid.UUID(folder.name)).exists()
        except ValueError:
            known = False
        if not known and folder.stat().st_mtime < begun_before.timestamp():
            shutil.rmtree(folder, ignore_errors=True)
    return len(old)


def _checked(files: Iterable[tuple[str, IO[bytes]]]) -> list[tuple[str, IO[bytes]]]:
    taken = PathSet()
    batch = []
    for given, file in files:
        path = clean_path(given)
        taken.add_file(path, given=given)
        if not is_always_ignored(path):
            batch.append((path, file))
    return batch


def _check_room(size: int, count: int) -> None:
    most_bytes = STAGING_FACTOR * settings.ENV.snapshot_max_bytes
    most_files = STAGING_FACTOR * settings.ENV.snapshot_max_files
    if size > most_bytes or count > most_files:
        raise SnapshotTooLarge(
            f"The upload has more than {megabytes(most_bytes)} or {most_files:,} files. "
            "Name what the run does not need in a .trainhouseignore file."
        )


def _stage(upload: Upload, path: str, file: IO[bytes]) -> None:
    target = _folder(upload.pk) / "files" / path
    clash = SnapshotRefused(f"{shown_name(path)} is both a file and a folder. Rename one of them.")
    try:
        private_folder(target.parent)
    except (FileExistsError, NotADirectoryError) as error:
        raise clash from error
    if target.is_dir():
        raise clash
    handle, name = tempfile.mkstemp(dir=_folder(upload.pk))
    try:
        with os.fdopen(handle, "wb") as staged:
            shutil.copyfileobj(file, staged, PIECE_BYTES)
        if target.exists() and not filecmp.cmp(name, target, shallow=False):
            raise SnapshotRefused(
                f"{shown_name(path)} came twice with different content. Begin the upload again, and leave the "
                "folder alone meanwhile."
            )
        os.replace(name, target)
    finally:
        Path(name).unlink(missing_ok=True)


def _staged(upload: Upload) -> tuple[int, int]:
    """Bytes and number of the files staged so far."""
    sizes = [path.stat().st_size for path in (_folder(upload.pk) / "files").rglob("*") if path.is_file()]
    return sum(sizes), len(sizes)


def _finished(upload: Upload) -> Snapshot | None:
    """The snapshot that the upload became, as the database has it now."""
    return Snapshot.objects.filter(upload=upload.pk).first()


@contextmanager
def _alone(upload: Upload) -> Iterator[None]:
    """Holds the upload's lock: batches may come at once, and the finish twice. Freed by the holder's death."""
    handle = os.open(private_folder(_folder(upload.pk)) / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _root() -> Path:
    return private_folder(settings.DATA_DIR / "tmp" / "uploads")


def _folder(upload_id: uuid.UUID) -> Path:
    return _root() / str(upload_id)
