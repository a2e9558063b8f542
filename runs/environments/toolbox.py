"""What a build runs, and with which variables.

The user that builds cannot read the server's own installation in general, so uv is copied once into
``<data folder>/tools``.
"""

import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

import uv
from django.conf import settings


def uv_program() -> Path:
    """The uv binary that builds run, copied from the server's own when missing. Safe against another process."""
    tools = settings.DATA_DIR / "tools"
    program: Path = tools / f"uv-{version('uv')}"
    if program.exists():
        return program
    tools.mkdir(mode=0o755, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=tools)
    try:
        with os.fdopen(handle, "wb") as copy, open(uv.find_uv_bin(), "rb") as original:
            shutil.copyfileobj(original, copy)
            os.fchmod(copy.fileno(), 0o755)
        os.replace(name, program)
    finally:
        Path(name).unlink(missing_ok=True)
    return program


def uv_cache() -> Path:
    """uv's cache, on the file system of the environments so that files can be hardlinked, and the build user's own."""
    path: Path = settings.DATA_DIR / "build" / "cache" / "uv"
    return path


def build_tmp() -> Path:
    """The build user's folder for what a build needs for a while."""
    path: Path = settings.DATA_DIR / "build" / "tmp"
    return path


def apart_of(digest: str) -> str:
    """The name of the place apart in which the build of an environment runs what its packages bring."""
    return digest[:16]


def handed_over_of(digest: str) -> Path:
    """The folder of what the build of an environment may read and not change."""
    path: Path = settings.DATA_DIR / "tools" / "builds" / digest
    return path


def build_environ() -> dict[str, str]:
    """The variables of every step. The backend adds the way to the package index (``compute.package_index``)."""
    return {
        "UV_CACHE_DIR": str(uv_cache()),
        "UV_LINK_MODE": "hardlink",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        "NO_COLOR": "1",
    }
