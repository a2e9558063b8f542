"""The code of a run at one moment: taken from a zip, an upload or a folder, kept once by content.

``paths`` and ``ignore`` say which files come in, ``blobs`` keeps their contents, ``manifest`` makes the Snapshot.
"""

from runs.snapshots.archive import Taken, snapshot_from_zip, zip_take
from runs.snapshots.folder import snapshot_from_folder
from runs.snapshots.ignore import ALWAYS_IGNORED, IGNORE_FILES
from runs.snapshots.manifest import entry_candidates, snapshot_paths, snapshot_plan, snapshot_reader
from runs.snapshots.trees import Trees, snapshot_trees, tree_files
from runs.snapshots.uploads import upload_add, upload_begin, upload_take, uploads_sweep

__all__ = [
    "ALWAYS_IGNORED",
    "IGNORE_FILES",
    "Taken",
    "Trees",
    "entry_candidates",
    "snapshot_from_folder",
    "snapshot_from_zip",
    "snapshot_paths",
    "snapshot_plan",
    "snapshot_reader",
    "snapshot_trees",
    "tree_files",
    "upload_add",
    "upload_begin",
    "upload_take",
    "uploads_sweep",
    "zip_take",
]
