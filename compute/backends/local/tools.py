"""The platform's own part that runs beside the script: the harness and the in-job API, by content.

A running task keeps the version it was started with, whatever the server is updated to meanwhile.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

_PACKAGE = "trainhouse"


def tools_source() -> Path:
    """Where this server's own copy lies. It is found, never imported: it belongs to the other side of the wire."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"The package {_PACKAGE} is not on the server's path; put the folder sdk/ there.")
    return Path(spec.origin).resolve().parent


def tools_ensure(tools: Path, source: Path | None = None) -> Path:
    """The folder that holds this version's ``trainhouse``, below ``tools``; laid there when it is missing.

    Readable by every user, writable by the server alone. Idempotent and safe among several processes.
    """
    source = source or tools_source()
    folder = tools / _digest(source)
    if folder.is_dir():
        return folder
    fresh = tools / f".fresh-{secrets.token_hex(8)}"
    try:
        _copy(source, fresh / source.name)
        fresh.chmod(0o755)
        fresh.rename(folder)
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)
        if not folder.is_dir():  # otherwise another process was first
            raise
    return folder


def _files(source: Path) -> list[Path]:
    return sorted(path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


@lru_cache(maxsize=8)
def _digest(source: Path) -> str:
    """Of names and contents. Read once a process: the server's own code does not change under it."""
    total = hashlib.sha256()
    for path in _files(source):
        content = path.read_bytes()
        total.update(f"{path.relative_to(source).as_posix()}\0{len(content)}\0".encode() + content)
    return total.hexdigest()[:24]


def _copy(source: Path, destination: Path) -> None:
    for path in _files(source):
        copy = destination / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(0o644)
    for folder in (destination, *(path for path in destination.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
