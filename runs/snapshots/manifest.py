"""From files in the content store to a Snapshot: limits, digest, rows."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from compute import plan
from runs.errors import SnapshotRefused, SnapshotTooLarge
from runs.models import Snapshot, SnapshotFile
from runs.snapshots.blobs import blob_path
from runs.snapshots.paths import shown_name

MOST_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of a snapshot to be, its content already in the store."""

    path: str
    sha256: str
    size_bytes: int
    executable: bool = False


def snapshot_keep(entries: Sequence[Entry], *, git: dict[str, Any]) -> Snapshot:
    """The Snapshot of exactly these files, made unless there is one; safe against another process doing the same.

    The digest is over paths, contents and exec bits alone. The same files from two commits are one snapshot, which
    keeps the facts of the first commit that was told. Raises SnapshotRefused when ``entries`` is empty,
    SnapshotTooLarge when a limit is passed.
    """
    limits_check((entry.path, entry.size_bytes) for entry in entries)
    digest = manifest_digest(entries)
    snapshot = Snapshot.objects.filter(digest=digest).first() or _create(digest, entries, git)
    if git and not snapshot.git:
        Snapshot.objects.filter(pk=snapshot.pk).update(git=git)
        snapshot.git = git
    return snapshot


def manifest_digest(entries: Iterable[Entry]) -> str:
    """The SHA-256 of ``manifest_text``."""
    return hashlib.sha256(manifest_text(entries)).hexdigest()


def manifest_text(entries: Iterable[Entry]) -> bytes:
    """The entries sorted by path, one JSON list a line; the order in which they are given does not matter."""
    return b"".join(
        json.dumps([entry.path, entry.sha256, entry.executable], ensure_ascii=False, separators=(",", ":")).encode()
        + b"\n"
        for entry in sorted(entries, key=lambda entry: entry.path)
    )


def limits_check(sizes: Iterable[tuple[str, int]]) -> None:
    """Passes ``(path, size in bytes)`` of all files that are to be kept. Raises SnapshotRefused for none at all,
    SnapshotTooLarge for too many bytes or files, naming the ten largest."""
    files = list(sizes)
    if not files:
        raise SnapshotRefused(
            "No file is left to run: the source is empty, or an ignore file leaves everything behind."
        )
    most_bytes, most_files = settings.ENV.snapshot_max_bytes, settings.ENV.snapshot_max_files
    total = sum(size for _, size in files)
    if total > most_bytes:
        what = f"The source has {megabytes(total)}; {megabytes(most_bytes)} are allowed."
    elif len(files) > most_files:
        what = f"The source has {len(files):,} files; {most_files:,} are allowed."
    else:
        return
    largest = sorted(files, key=lambda file: (-file[1], file[0]))[:MOST_NAMED]
    named = ", ".join(f"{shown_name(path)} ({megabytes(size)})" for path, size in largest)
    raise SnapshotTooLarge(
        f"{what} Leave files out with a .trainhouseignore file. The largest: {named}.",
    )


def megabytes(size_bytes: int) -> str:
    """A size in words: bytes below one kilobyte, then kB and MB of 1024."""
    if size_bytes < 1024:
        return f"{size_bytes} bytes"
    if size_bytes < 1024 * 1024:
        return f"{size_bytes / 1024:.1f} kB"
    return f"{size_bytes / (1024 * 1024):,.1f} MB"


def snapshot_plan(snapshot: Snapshot) -> tuple[plan.SnapshotFile, ...]:
    """The files as a backend lays them out: where each goes and where its content lies in the store."""
    return tuple(
        plan.SnapshotFile(
            path=file.path, source=blob_path(file.sha256), size_bytes=file.size_bytes, executable=file.executable
        )
        for file in snapshot.files.all()
    )


def snapshot_reader(snapshot: Snapshot) -> Callable[[str, int], bytes | None]:
    """``read(path, size)``: up to ``size`` bytes of a file of the snapshot; None when it has no file of that path."""

    def read(path: str, size: int) -> bytes | None:
        file = snapshot.files.filter(path=path).first()
        if file is None:
            return None
        with open(blob_path(file.sha256), "rb") as content:
            return content.read(size)

    return read


def snapshot_paths(snapshot: Snapshot) -> list[str]:
    """The paths of all files, sorted."""
    return list(snapshot.files.order_by("path").values_list("path", flat=True))


def entry_candidates(paths: Iterable[str]) -> list[str]:
    """The Python files among ``paths``, the likeliest entry scripts first: train.py and main.py, then the top of the
    folder, then the rest; packages' ``__init__.py`` are none."""

    def rank(path: str) -> tuple[int, int, str]:
        name = path.rpartition("/")[2]
        favour = {"train.py": 0, "main.py": 1}.get(name, 2)
        return path.count("/"), favour, path

    return sorted((path for path in paths if path.endswith(".py") and not path.endswith("__init__.py")), key=rank)


def _create(digest: str, entries: Sequence[Entry], git: dict[str, Any]) -> Snapshot:
    try:
        with transaction.atomic():
            snapshot = Snapshot.objects.create(
                digest=digest,
                file_count=len(entries),
                size_bytes=sum(entry.size_bytes for entry in entries),
                git=git,
            )
            SnapshotFile.objects.bulk_create(
                SnapshotFile(
                    snapshot=snapshot,
                    path=entry.path,
                    sha256=entry.sha256,
                    size_bytes=entry.size_bytes,
                    executable=entry.executable,
                )
                for entry in sorted(entries, key=lambda entry: entry.path)
            )
    except IntegrityError:
        return Snapshot.objects.get(digest=digest)  # another process took the same files in the meantime
    return snapshot
