"""The platform's own part beside Horovod, packed as a wheel.

``sdk/trainhouse_horovod`` makes Horovod's Keras layer right for Keras 3; ``sdk/trainhouse_horovod.pth`` makes every
Python of the environment load it. The wheel is the same bytes for the same files wherever it is packed.
"""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
import zipfile
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

from runs.environments.horovod.store import Wheel

PACKAGE = "trainhouse_horovod"


def beside_digest() -> str:
    """A short SHA-256 of the module's files."""
    total = hashlib.sha256()
    for name, content in _files().items():
        total.update(f"{name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()[:12]


def beside_version() -> str:
    """The version under which it is installed: it follows from the content."""
    return f"1+{beside_digest()}"


def beside_wheel(folder: Path) -> Wheel:
    """Packs the module into ``folder``, which has to be there; whole, or not at all."""
    content = _packed()
    path = folder / f"{PACKAGE}-{beside_version()}-py3-none-any.whl"
    handle, name = tempfile.mkstemp(dir=folder)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        os.fchmod(handle, 0o644)
    os.replace(name, path)
    return _wheel(path, content)


def beside_kept(folder: Path, digest: str) -> tuple[str, Wheel]:
    """The module of this digest, from when it was the server's own, or else today's; with the digest of what it is.

    ``folder`` keeps every version that was ever asked for there: an environment is built again as it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    earlier = folder / f"{PACKAGE}-1+{digest}-py3-none-any.whl"
    if digest != beside_digest() and earlier.is_file():
        return digest, _wheel(earlier, earlier.read_bytes())
    return beside_digest(), beside_wheel(folder)


def _wheel(path: Path, content: bytes) -> Wheel:
    return Wheel(path=path, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def _packed() -> bytes:
    info = f"{PACKAGE}-{beside_version()}.dist-info"
    files = {
        **_files(),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: trainhouse-horovod\nVersion: {beside_version()}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: trainhouse\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},{_recorded(content)},{len(content)}\n" for name, content in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as wheel:
        for name, content in files.items():
            member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            member.external_attr = 0o100644 << 16
            wheel.writestr(member, content)
    return buffer.getvalue()


@cache
def _files() -> dict[str, bytes]:
    """Read once a process: the server's own code does not change under it. Found, never imported: it belongs to the
    other side of the wire."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"The package {PACKAGE} is not on the server's path; put the folder sdk/ there.")
    package = Path(spec.origin).parent
    loader = package.with_name(f"{PACKAGE}.pth")
    paths = [*package.rglob("*.py"), *([loader] if loader.is_file() else [])]
    return {path.relative_to(package.parent).as_posix(): path.read_bytes() for path in sorted(paths)}


def _recorded(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
