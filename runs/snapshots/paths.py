"""The names that a file of a snapshot may have.

Every source of files (zip, upload, folder) passes its names through here, so that the same names are refused
everywhere, in the same words, before anything is written under them.
"""

import re
import unicodedata

from runs.errors import SnapshotRefused

#: What the database keeps, and what Linux takes for one name.
MAX_PATH_CHARACTERS = 1024
MAX_NAME_BYTES = 255

_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def clean_path(name: str) -> str:
    """``name`` as a relative path with ``/``, without ``.`` parts, in Unicode's composed form (NFC).

    macOS hands out decomposed names; scripts that open ``"café.csv"`` mean the composed one, as git does with
    ``core.precomposeUnicode``. Raises SnapshotRefused for a name that is absolute, leads outside, holds a backslash or
    a control character, is no valid Unicode, or is too long.
    """
    shown = shown_name(name)
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise SnapshotRefused(f"The name {shown} is not valid UTF-8. Rename the file.") from error
    if _CONTROL.search(name):
        raise SnapshotRefused(f"The name {shown} holds a control character. Rename the file.")
    if "\\" in name:
        raise SnapshotRefused(
            f"The name {shown} holds a backslash. Rename the file, or pack it with a tool that separates folders by /."
        )
    if name.startswith(("/", "~")) or _DRIVE.match(name):
        raise SnapshotRefused(f"The name {shown} is absolute. Files must lie inside the source folder.")
    parts = [part for part in unicodedata.normalize("NFC", name).split("/") if part not in ("", ".")]
    if ".." in parts:
        raise SnapshotRefused(f"The name {shown} leads out of the source folder. Remove it.")
    if not parts:
        raise SnapshotRefused(f"The name {shown} names no file.")
    path = "/".join(parts)
    if len(path) > MAX_PATH_CHARACTERS:
        raise SnapshotRefused(f"The path {shown} has {len(path):,} characters; {MAX_PATH_CHARACTERS:,} are allowed.")
    if max(len(part.encode()) for part in parts) > MAX_NAME_BYTES:
        raise SnapshotRefused(f"A name in {shown} has more than {MAX_NAME_BYTES} bytes, which Linux does not take.")
    return path


class PathSet:
    """The paths taken so far; finds names that cannot lie in one folder together."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def add_file(self, path: str, *, given: str) -> None:
        """Adds a clean path. ``given`` is the name as it came, for the message. Raises SnapshotRefused when the path
        is there already, or is a folder, or lies below a file."""
        if path in self._files:
            raise SnapshotRefused(
                f"{shown_name(given)} is there twice, or two names differ only in how an accent is written. Keep one."
            )
        if path in self._folders:
            raise SnapshotRefused(f"{shown_name(given)} is both a file and a folder. Rename one of them.")
        self._add_folders(path.split("/")[:-1])
        self._files.add(path)

    def add_folder(self, path: str) -> None:
        """Adds a folder; the same folder may come any number of times. Raises SnapshotRefused below a file."""
        self._add_folders(path.split("/"))

    def _add_folders(self, parts: list[str]) -> None:
        """Adds the folder of these parts with those above it, or none of them."""
        folders: list[str] = []
        for depth in range(len(parts), 0, -1):
            folder = "/".join(parts[:depth])
            if folder in self._files:
                raise SnapshotRefused(f"{shown_name(folder)} is both a file and a folder. Rename one of them.")
            if folder in self._folders:
                break
            folders.append(folder)
        self._folders.update(folders)


def shown_name(name: str) -> str:
    """``name`` quoted for a sentence: escapes for what cannot be printed, cut in the middle when long."""
    text = name if len(name) <= 160 else f"{name[:100]}…{name[-50:]}"
    return repr(text)
