"""Whether the files of a sealed environment are still all there, found out in milliseconds.

A folder's time of change moves whenever something in it is made, renamed or removed. So when the environment is sealed,
each folder's time is written down, with a digest of its names; later only the folders whose time has moved are read.
Contents are not: no run can write them, and reading a gigabyte before every run would be too dear. Bytecode does not
count, since Python makes it anew. An environment of TensorFlow has 4,500 folders, which takes 10 ms.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

#: By folder, relative to the environment: its time of change in nanoseconds, and the digest of its names.
Recorded = dict[str, tuple[int, str]]

_BYTECODE = "__pycache__"


def stock_take(path: Path) -> tuple[int, Recorded]:
    """The bytes of all files below ``path``, each counted once however many names it has there, and what is to be known
    of every folder. The environment's own folder is left out: the mark comes into it later. One walk for both."""
    total, seen, recorded = 0, set(), {}
    pending = [str(path)]
    while pending:
        place = pending.pop()
        names: list[str] = []
        with os.scandir(place) as entries:
            for entry in entries:
                names.append(entry.name)
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                    continue
                facts = entry.stat(follow_symlinks=False)
                if facts.st_ino not in seen:
                    seen.add(facts.st_ino)
                    total += facts.st_size
        if place != str(path) and os.path.basename(place) != _BYTECODE:
            recorded[os.path.relpath(place, path)] = (os.lstat(place).st_mtime_ns, _digest(names))
    return total, recorded


def folder_damaged(path: Path, recorded: Recorded) -> str | None:
    """The first folder that has not the names it had, or is gone; None when all is there."""
    base = str(path)
    for name, (changed_at, digest) in recorded.items():
        place = os.path.join(base, name)
        try:
            if os.lstat(place).st_mtime_ns != changed_at and _digest(os.listdir(place)) != digest:
                return name
        except OSError:
            return name
    return None


def _digest(names: Iterable[str]) -> str:
    kept = sorted(os.fsencode(name) for name in names if name != _BYTECODE)
    return hashlib.sha256(b"\0".join(kept)).hexdigest()[:16]
