"""Handing settings of the package index over to builds, passwords included, and to nobody else.

They lie in ``<data folder>/index``: the server owns the files, the build user's group may read them.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from compute.backends.local.identities import Identity
from compute.package_index import PackageIndex


def index_hand_over(index: PackageIndex, *, folder: Path, identity: Identity) -> dict[str, str]:
    """Lays the files of ``index`` into ``folder``, removes those of settings that are gone, and returns the variables
    that builds get. Idempotent and safe among several processes."""
    _folder_ensure(folder, identity)
    _folder_ensure(folder / "uv", identity)
    for name, content in index.files.items():
        _write(folder / name, content, identity)
    for name in ("uv.toml", "uv/uv.toml", "netrc", "certificates.pem", "client.pem"):
        if name not in index.files:
            (folder / name).unlink(missing_ok=True)
    return {
        **index.variables,
        **{variable: str(folder / name) for variable, name in index.file_variables.items()},
    }


def _folder_ensure(path: Path, identity: Identity) -> None:
    path.mkdir(mode=0o750, exist_ok=True)
    found = path.stat()
    if (found.st_uid, found.st_gid) != (os.geteuid(), _group(identity)):
        os.chown(path, os.geteuid(), _group(identity))
    if found.st_mode & 0o777 != 0o750:
        path.chmod(0o750)


def _write(path: Path, content: bytes, identity: Identity) -> None:
    try:
        if path.read_bytes() == content and path.stat().st_gid == _group(identity):
            return
    except FileNotFoundError:
        pass
    descriptor, fresh = tempfile.mkstemp(dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            os.fchown(file.fileno(), os.geteuid(), _group(identity))
            os.fchmod(file.fileno(), 0o640)
        os.replace(fresh, path)
    finally:
        Path(fresh).unlink(missing_ok=True)


def _group(identity: Identity) -> int:
    return os.getegid() if identity.uid is None else identity.uid
