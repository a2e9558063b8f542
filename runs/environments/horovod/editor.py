"""Takes Horovod's source out of uv's cache and edits it: ``editor.py <cache> <folder> <edits>``.

Run with a build's rights by the Python of the build, standard library only. ``edits`` is a JSON file, a list of
``{"path", "old", "new"}``: ``old`` has to be in the file exactly once. Ends with 1 and a sentence when the source is
not there, or not what the edits expect; then the folder counts for nothing.
"""

import glob
import json
import os
import shutil
import sys

#: What a build leaves in the source. A stale one would go into the wheel.
LEFT = ("build", "*.egg-info")


def main(cache: str, folder: str, edits: str) -> None:
    take(cache, folder)
    with open(edits) as file:
        for edit in json.load(file):
            apply(folder, edit["path"], edit["old"], edit["new"])


def take(cache: str, folder: str) -> None:
    """Moves the one source of the cache to ``folder``, without what a build has left in it."""
    found = glob.glob(os.path.join(cache, "sdists-*", "**", "src", "setup.py"), recursive=True)
    if len(found) != 1:
        sys.exit(f"error: uv has put {len(found)} sources of Horovod, not one, into {cache}.")
    os.rename(os.path.dirname(found[0]), folder)
    for pattern in LEFT:
        for path in glob.glob(os.path.join(folder, pattern)):
            shutil.rmtree(path)


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
