"""Puts compiled bytecode beside its source in uv's cache. Run by path in an environment's Python, with the standard
library alone: ``python -I -S bytecode_keeper.py <site-packages> <uv's cache>``.

uv hardlinks whatever lies in the unpacked wheel, so the next environment with the same wheel gets the bytecode too. A
package of the environment is that of the cache when both METADATA are one file; so are its sources, and bytecode is
valid for a source of the same time and size (https://docs.python.org/3/reference/import.html#cached-bytecode-invalidation).
"""

import csv
import glob
import os
import sys
from contextlib import suppress


def main() -> None:
    site, cache = sys.argv[1:]
    keep(site, _unpacked(cache))


def keep(site: str, unpacked: "dict[int, str]") -> None:
    """Links the bytecode of every package in ``site`` into the wheel it comes from; what is there already stays."""
    for metadata in glob.glob(os.path.join(glob.escape(site), "*.dist-info", "METADATA")):
        wheel = unpacked.get(os.stat(metadata).st_ino)
        if wheel is None:
            continue
        with open(os.path.join(os.path.dirname(metadata), "RECORD"), newline="", encoding="utf-8") as record:
            for row in csv.reader(record):
                if row and row[0].endswith(".py"):
                    _link(row[0], site, wheel)


def _unpacked(cache: str) -> "dict[int, str]":
    """The folders of unpacked wheels in uv's cache, by the inode of their METADATA."""
    found = {}
    for metadata in glob.glob(os.path.join(glob.escape(cache), "archive-v*", "*", "*.dist-info", "METADATA")):
        with suppress(FileNotFoundError):  # another build has just removed it
            found[os.stat(metadata).st_ino] = os.path.dirname(os.path.dirname(metadata))
    return found


def _link(source: str, site: str, wheel: str) -> None:
    folder, name = os.path.split(source)
    bytecode = os.path.join(folder, "__pycache__", f"{name[:-3]}.{sys.implementation.cache_tag}.pyc")
    # What is not compiled, lies on another file system, or was kept by another build meanwhile is passed over.
    with suppress(OSError):
        is_kept = os.stat(os.path.join(site, bytecode)).st_nlink > 1
        if not is_kept and os.path.samefile(os.path.join(site, source), os.path.join(wheel, source)):
            os.makedirs(os.path.join(wheel, folder, "__pycache__"), exist_ok=True)
            os.link(os.path.join(site, bytecode), os.path.join(wheel, bytecode))


if __name__ == "__main__":
    main()
