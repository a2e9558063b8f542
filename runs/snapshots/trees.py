"""Parts of a snapshot by their content: a folder, or one file, as a build gets it.

The list of a part's files is kept in the content store under its own SHA-256, so that whoever knows that digest finds
the files again without the snapshot.
"""

import io
import json
import re
from collections.abc import Callable

from runs.errors import SnapshotRefused
from runs.models import Snapshot
from runs.snapshots.blobs import blob_path, blob_store
from runs.snapshots.manifest import Entry, manifest_text

_SHA256 = re.compile(r"[0-9a-f]{64}")

#: ``trees(path)`` is the digest of what lies at this path of a snapshot (``.`` is all of it), None for nothing.
Trees = Callable[[str], "str | None"]


def snapshot_trees(snapshot: Snapshot) -> Trees:
    """The digests of parts of ``snapshot``; asking for one keeps its list of files. Equal files have equal digests,
    wherever they lie."""

    def keep(path: str) -> str | None:
        entries = [
            Entry(path=inside, sha256=file.sha256, size_bytes=file.size_bytes, executable=file.executable)
            for file in snapshot.files.all()
            if (inside := _inside(file.path, path))
        ]
        if not entries:
            return None
        return blob_store(io.BytesIO(manifest_text(entries)).read).sha256

    return keep


def tree_files(digest: str) -> list[Entry]:
    """The files of the part with this digest, their paths relative to it. Raises SnapshotRefused when the store has no
    such part any more, and when what it has is no list of files inside a folder."""
    try:
        lines = blob_path(digest).read_bytes().splitlines()
        found = [(str(path), str(sha256), executable is True) for path, sha256, executable in map(json.loads, lines)]
        if not all(_is_inside(path) and _SHA256.fullmatch(sha256) for path, sha256, _ in found):
            raise ValueError("a path that leads outside, or no digest")
        return [
            Entry(path=path, sha256=sha256, size_bytes=blob_path(sha256).stat().st_size, executable=executable)
            for path, sha256, executable in found
        ]
    except (ValueError, TypeError) as error:
        raise SnapshotRefused(f"{digest[:12]} is no list of the files of a source folder.") from error
    except FileNotFoundError as error:
        raise SnapshotRefused(
            f"The files of {digest[:12]}, a part of a source folder, are not in the store any more. Submit the source "
            "folder again."
        ) from error


def _is_inside(path: str) -> bool:
    """Whether ``path`` stays below the folder that it is laid into."""
    return "\0" not in path and not {"", ".", ".."} & set(path.split("/"))


def _inside(path: str, part: str) -> str:
    """``path`` relative to ``part``; a file that is itself the part keeps its name. Empty when it lies elsewhere."""
    if part == ".":
        return path
    if path == part:
        return path.rpartition("/")[2]
    return path.removeprefix(f"{part}/") if path.startswith(f"{part}/") else ""
