"""Compiles what lacks its bytecode, and keeps it beside its source in uv's cache. Run by path in the Python that an
environment stands on, by the standard library alone: ``python -I -S bytecode_writer.py <site-packages> <uv's cache>``.

uv hardlinks whatever lies in an unpacked wheel, so the next environment with the same wheel has the bytecode too. A
package of the environment is that of the cache when both METADATA are one file; so are its sources then, and bytecode
is valid for a source of the same time and size
(https://docs.python.org/3/reference/import.html#cached-bytecode-invalidation).
"""

import csv
import glob
import os
import py_compile
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress

#: So many modules are compiled by one process before it asks for more.
_AT_ONCE = 20


def main() -> None:
    site, cache = sys.argv[1:]
    lacking = _lacking(site)
    if lacking:
        _compile([os.path.join(site, source) for source in lacking])
        _keep(lacking, site, cache)


def _lacking(site: str) -> "set[str]":
    """The modules below ``site`` without bytecode of this Python, as relative paths."""
    found = set()
    ending = f".{sys.implementation.cache_tag}.pyc"
    for folder, folders, names in os.walk(site):
        compiled: list[str] = []
        if "__pycache__" in folders:
            folders.remove("__pycache__")
            compiled = os.listdir(os.path.join(folder, "__pycache__"))
        have = {name[: -len(ending)] for name in compiled if name.endswith(ending)}
        for name in names:
            if name.endswith(".py") and name[:-3] not in have:
                found.add(os.path.relpath(os.path.join(folder, name), site))
    return found


def _compile(paths: "list[str]") -> None:
    with ProcessPoolExecutor() as processes:
        for _ in processes.map(_compile_one, sorted(paths), chunksize=_AT_ONCE):
            pass


def _compile_one(path: str) -> None:
    """What is no Python of this version, such as a template, is passed over; a full disk is not."""
    warnings.simplefilter("ignore")
    with suppress(py_compile.PyCompileError):
        py_compile.compile(path, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)


def _keep(sources: "set[str]", site: str, cache: str) -> None:
    unpacked = _unpacked(cache)
    for metadata in glob.glob(os.path.join(glob.escape(site), "*.dist-info", "METADATA")):
        wheel = unpacked.get(os.stat(metadata).st_ino)
        if wheel is None:
            continue
        with open(os.path.join(os.path.dirname(metadata), "RECORD"), newline="", encoding="utf-8") as record:
            for row in csv.reader(record):
                if row and row[0] in sources:
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
    # What could not be compiled, lies on another file system, or was kept by another build meanwhile is passed over.
    with suppress(OSError):
        if os.path.samefile(os.path.join(site, source), os.path.join(wheel, source)):
            os.makedirs(os.path.join(wheel, folder, "__pycache__"), exist_ok=True)
            os.link(os.path.join(site, bytecode), os.path.join(wheel, bytecode))


if __name__ == "__main__":
    main()
