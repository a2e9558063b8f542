"""A conda channel of our own in a folder, made by hand: packages of both formats, and repodata."""

import bz2
import hashlib
import io
import json
import struct
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rattler import Subdir

#: As long as those of real packages: a longer one than the environment's own path, which replaces it.
PLACEHOLDER = "/opt/placehold_" + "placehold_" * 23
_ZSTD_BLOCK_BYTES = 128 * 1024


@dataclass
class Link:
    """A symbolic link of a package."""

    target: str


@dataclass
class Channel:
    """Writes packages below ``folder`` and, at each change, the repodata of their folder."""

    folder: Path
    _records: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.folder.as_uri()

    def add(
        self,
        name: str,
        version: str,
        *,
        depends: tuple[str, ...] = (),
        files: dict[str, "bytes | str | Link"] | None = None,
        placeholders: dict[str, str] | None = None,
        subdir: str = "noarch",
        noarch: str = "generic",
        build: str = "0",
        entry_points: tuple[str, ...] = (),
        suffix: str = ".conda",
        **record: Any,
    ) -> str:
        """Adds a package and returns the path of its archive. ``files`` are its content by path; ``placeholders`` name
        those that hold PLACEHOLDER, as ``text`` or ``binary``; ``record`` replaces values of its repodata."""
        facts: dict[str, Any] = {
            "name": name,
            "version": version,
            "build": build,
            "build_number": 0,
            "depends": list(depends),
            "constrains": [],
            "license": "MIT",
            "subdir": subdir,
            "timestamp": 1_700_000_000_000,
        }
        if subdir == "noarch":
            facts["noarch"] = noarch
        content = {path: text.encode() if isinstance(text, str) else text for path, text in (files or {}).items()}
        info = _info(facts, content, placeholders or {}, entry_points if noarch == "python" else None)
        stem = f"{name}-{version}-{build}"
        archive = _conda(stem, info, content) if suffix == ".conda" else bz2.compress(_tar({**info, **content}))
        path = self.folder / subdir / f"{stem}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(archive)
        facts |= {"sha256": hashlib.sha256(archive).hexdigest(), "md5": _md5(archive), "size": len(archive), **record}
        self._records.setdefault(subdir, {})[path.name] = facts
        self.write()
        return str(path)

    def add_python_module(self, name: str, version: str, *, depends: tuple[str, ...] = ("python",), **more: Any) -> str:
        """A noarch Python package with one module that knows its version, and the metadata that pip reads."""
        requires = "".join(f"Requires-Dist: {each}\n" for each in more.pop("requires", ()))
        folder = f"site-packages/{name.replace('-', '_')}-{version}.dist-info"
        files = {
            f"site-packages/{name.replace('-', '_')}.py": f"version = {version!r}\norigin = 'conda'\n",
            f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
            f"{folder}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{folder}/INSTALLER": "conda\n",
            f"{folder}/RECORD": "",
        }
        return self.add(name, version, depends=depends, files=files, noarch="python", **more)

    def add_python(self, executable: Path, version: str) -> str:
        """A package ``python`` that is the machine's own, as a virtual environment's is."""
        minor = ".".join(version.split(".")[:2])
        files: dict[str, bytes | str | Link] = {
            f"bin/python{minor}": Link(str(executable)),
            "bin/python3": Link(f"python{minor}"),
            "bin/python": Link(f"python{minor}"),
            "pyvenv.cfg": f"home = {executable.parent}\ninclude-system-site-packages = false\nversion = {version}\n",
            f"lib/python{minor}/site-packages/README.txt": "Packages.\n",
        }
        return self.add("python", version, files=files, subdir=str(Subdir.current()))

    def write(self) -> None:
        """Writes the repodata of every folder; ``noarch`` has one in any case, as each channel must."""
        for subdir in {"noarch", *self._records}:
            records = self._records.get(subdir, {})
            data = {
                "info": {"subdir": subdir},
                "packages": {name: facts for name, facts in records.items() if name.endswith(".tar.bz2")},
                "packages.conda": {name: facts for name, facts in records.items() if name.endswith(".conda")},
                "repodata_version": 1,
            }
            folder = self.folder / subdir
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "repodata.json").write_text(json.dumps(data))


def _info(
    facts: dict[str, Any],
    content: dict[str, "bytes | Link"],
    placeholders: dict[str, str],
    entry_points: tuple[str, ...] | None,
) -> dict[str, bytes]:
    paths = []
    for path, data in content.items():
        entry: dict[str, Any] = {"_path": path, "path_type": "softlink" if isinstance(data, Link) else "hardlink"}
        if not isinstance(data, Link):
            entry |= {"sha256": hashlib.sha256(data).hexdigest(), "size_in_bytes": len(data)}
        if path in placeholders:
            entry |= {"prefix_placeholder": PLACEHOLDER, "file_mode": placeholders[path]}
        paths.append(entry)
    info = {
        "info/index.json": json.dumps(facts).encode(),
        "info/about.json": b"{}",
        "info/paths.json": json.dumps({"paths": paths, "paths_version": 1}).encode(),
        "info/files": "".join(f"{path}\n" for path in content).encode(),
    }
    if entry_points is not None:
        link = {"noarch": {"type": "python", "entry_points": list(entry_points)}, "package_metadata_version": 1}
        info["info/link.json"] = json.dumps(link).encode()
    return info


def _tar(content: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, data in content.items():
            facts = tarfile.TarInfo(path)
            facts.mode = 0o755 if path.startswith("bin/") else 0o644
            if isinstance(data, Link):
                facts.type, facts.linkname = tarfile.SYMTYPE, data.target
                archive.addfile(facts)
            else:
                facts.size = len(data)
                archive.addfile(facts, io.BytesIO(data))
    return buffer.getvalue()


def _conda(stem: str, info: dict[str, bytes], content: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("metadata.json", json.dumps({"conda_pkg_format_version": 2}))
        archive.writestr(f"pkg-{stem}.tar.zst", _zstd(_tar(content)))
        archive.writestr(f"info-{stem}.tar.zst", _zstd(_tar(info)))
    return buffer.getvalue()


def _zstd(data: bytes) -> bytes:
    """One frame of raw blocks (RFC 8878, section 3.1.1), with an 8-byte content size in its header."""
    blocks = [data[at : at + _ZSTD_BLOCK_BYTES] for at in range(0, len(data), _ZSTD_BLOCK_BYTES)] or [b""]
    frame = struct.pack("<IBQ", 0xFD2FB528, 0b11100000, len(data))
    for number, block in enumerate(blocks, start=1):
        frame += struct.pack("<I", len(block) << 3 | (number == len(blocks)))[:3] + block
    return frame


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
