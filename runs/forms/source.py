"""Where the code of a new run comes from: a zip file, an earlier upload, the cloned run, a folder of the server."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runs.errors import SnapshotRefused
from runs.forms.submit import CLONE, SERVER_PATH, SubmitForm
from runs.models import Run, Snapshot, Upload
from runs.snapshots import entry_candidates, snapshot_from_folder, snapshot_from_zip, snapshot_paths

if TYPE_CHECKING:
    from accounts.models import User

_MOST_FILES = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A snapshot with the name under which the person knows it. ``upload`` brings it back in the next request."""

    snapshot: Snapshot
    name: str
    upload: Upload | None = None

    @property
    def scripts(self) -> list[str]:
        """The Python files, the likeliest to start first."""
        return entry_candidates(snapshot_paths(self.snapshot))

    @property
    def texts(self) -> list[str]:
        """The text files, among which a requirements file may be; those named so first."""
        texts = [path for path in snapshot_paths(self.snapshot) if path.endswith(".txt")]
        return sorted(texts, key=lambda path: ("requirements" not in path, path.count("/"), path))[:_MOST_FILES]

    @property
    def conda_files(self) -> list[str]:
        """The YAML files, among which a conda file may be; those named so first."""
        files = [path for path in snapshot_paths(self.snapshot) if path.endswith((".yml", ".yaml"))]
        return sorted(files, key=lambda path: ("environment" not in path, path.count("/"), path))[:_MOST_FILES]

    @property
    def files(self) -> list[tuple[str, int]]:
        """The first files with their sizes in bytes, by path."""
        return list(self.snapshot.files.values_list("path", "size_bytes")[:_MOST_FILES])


def source_of_run(run: Run) -> Source:
    """The source that ``run`` had."""
    return Source(snapshot=run.snapshot, name=f"the source of {run}")


def source_take(form: SubmitForm, *, user: User) -> Source | None:
    """The source that a checked form names. A refusal is put beside the field it comes from, and gives None; so does
    a form without a source. A zip is kept as an upload, so that a form with problems need not bring it again."""
    data = form.cleaned_data
    if data.get("archive") is not None:
        return _archive(form, user)
    kind = data.get("source", "")
    if kind == CLONE and form.clone is not None:
        return source_of_run(form.clone)
    if kind == SERVER_PATH and user.is_staff:
        return _folder(form, data.get("server_path", ""))
    return _uploaded(data.get("upload"), user)


def source_known(form: SubmitForm, *, user: User) -> Source | None:
    """The source that a half-filled form names, as far as it is here already: an upload, or the cloned run's."""
    if form.cleaned_data.get("source") == CLONE and form.clone is not None:
        return source_of_run(form.clone)
    return _uploaded(form.cleaned_data.get("upload"), user)


def _uploaded(upload_id: uuid.UUID | None, user: User) -> Source | None:
    upload = Upload.objects.filter(id__in=[upload_id], owner=user).select_related("snapshot").first()
    if upload is None or upload.snapshot is None:
        return None
    return Source(snapshot=upload.snapshot, name=upload.name, upload=upload)


def _archive(form: SubmitForm, user: User) -> Source | None:
    archive = form.cleaned_data["archive"]
    try:
        snapshot = snapshot_from_zip(archive, name=archive.name)
    except SnapshotRefused as refusal:
        form.add_error("archive", str(refusal))
        return None
    upload = Upload.objects.create(owner=user, name=archive.name[:255], snapshot=snapshot)
    return Source(snapshot=snapshot, name=archive.name, upload=upload)


def _folder(form: SubmitForm, path: str) -> Source | None:
    if not path.startswith("/"):
        form.add_error("server_path", f"{path!r} is no absolute path. Name the folder from /, such as /srv/digits.")
        return None
    try:
        return Source(snapshot=snapshot_from_folder(Path(path)), name=path)
    except SnapshotRefused as refusal:
        form.add_error("server_path", str(refusal))
        return None
