"""Unpacks a source archive and edits it: ``unpacker.py <archive> <SHA-256> <folder> <edits>``.

Run with a build's rights by the Python of the build, standard library only. ``edits`` is a JSON file, a list of
``{"path", "old", "new"}``: ``old`` has to be in the file exactly once. Ends with 1 and a sentence when the archive is
not the one, or not what the edits expect; then the folder counts for nothing.
"""

import hashlib
import json
import os
import sys
import tarfile


def main(archive: str, expected: str, folder: str, edits: str) -> None:
    digest(archive, expected)
    os.mkdir(folder)
    unpack(archive, folder)
    with open(edits) as file:
        for edit in json.load(file):
            apply(folder, edit["path"], edit["old"], edit["new"])


def digest(archive: str, expected: str) -> None:
    """Refuses an archive with another SHA-256."""
    with open(archive, "rb") as file:
        found = hashlib.sha256(file.read()).hexdigest()
    if found != expected:
        sys.exit(
            f"error: {os.path.basename(archive)} has the SHA-256 {found}, and the recipe is for {expected}. "
            "The package index does not serve the published release."
        )


def unpack(archive: str, folder: str) -> None:
    """Extracts the files and folders below the archive's first folder into ``folder``."""
    with tarfile.open(archive) as source:
        if hasattr(tarfile, "data_filter"):
            source.extraction_filter = tarfile.data_filter
        for member in source:
            parts = member.name.split("/")[1:]
            if not parts or ".." in parts or not (member.isfile() or member.isdir()):
                continue
            member.name = "/".join(parts)
            source.extract(member, folder, set_attrs=False)


def apply(folder: str, path: str, old: str, new: str) -> None:
    """Makes one edit."""
    try:
        with open(os.path.join(folder, path)) as file:
            text = file.read()
    except FileNotFoundError:
        sys.exit(f"error: the source has no file {path}, which the recipe edits.")
    if text.count(old) != 1:
        sys.exit(
            f"error: {path} of the source is not what the recipe edits: it has {text.count(old)} times, not once, "
            f"the text {old.strip()!r}."
        )
    with open(os.path.join(folder, path), "w") as file:
        file.write(text.replace(old, new))


if __name__ == "__main__":
    main(*sys.argv[1:])
