"""The wheels that were compiled, one folder for each key: the server's own, readable by builds, writable by none.

A wheel is written down with its SHA-256, and one that has another by now counts as absent.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from django.conf import settings

from runs.environments.horovod.key import WheelKey
from runs.environments.horovod.recipe import VERSION
from runs.errors import EnvironmentFailed

MOST_WHEEL_BYTES = 512 * 1024 * 1024
_FACTS = "wheel.json"
_LOOK_EVERY_S = 0.5
_LIBRARY = re.compile(r"horovod/tensorflow/mpi_lib[^/]*\.so")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A wheel on the disk. ``requirement`` is a line of a requirements file for exactly this file."""

    path: Path
    sha256: str
    size_bytes: int

    @property
    def requirement(self) -> str:
        return f"{self.path.name.split('-')[0].replace('_', '-')} @ {self.path.as_uri()} --hash=sha256:{self.sha256}"


class WheelStore:
    """The wheels below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, key: WheelKey) -> Wheel | None:
        """The wheel of this key; None when there is none, or it is not what was written down."""
        folder = self.root / key.digest
        try:
            facts = json.loads((folder / _FACTS).read_bytes())
            wheel = Wheel(path=folder / facts["file"], sha256=facts["sha256"], size_bytes=facts["size_bytes"])
            content = wheel.path.read_bytes()
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return wheel if hashlib.sha256(content).hexdigest() == wheel.sha256 else None

    def kept(self) -> Iterator[dict[str, Any]]:
        """The keys of all wheels, as JSON has them."""
        for path in sorted(self.root.glob(f"*/{_FACTS}")):
            with suppress(OSError, ValueError, KeyError, TypeError):
                yield dict(json.loads(path.read_bytes())["key"])

    def is_damaged(self, key: WheelKey) -> bool:
        """Whether something lies there that ``find`` does not take."""
        return (self.root / key.digest).exists() and self.find(key) is None

    def keep(self, key: WheelKey, name: str, content: bytes) -> Wheel:
        """Takes a wheel in, in place of whatever lies under its key. Raises EnvironmentFailed when it is no wheel of
        Horovod for TensorFlow."""
        _check(name, content)
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o755)
        fresh = Path(tempfile.mkdtemp(prefix=".fresh-", dir=self.root))
        try:
            digest = hashlib.sha256(content).hexdigest()
            facts = {"file": name, "sha256": digest, "size_bytes": len(content), "key": asdict(key)}
            _write(fresh / name, content)
            _write(fresh / _FACTS, json.dumps(facts, indent=1).encode())
            fresh.chmod(0o755)
            folder = self.root / key.digest
            shutil.rmtree(folder, ignore_errors=True)
            fresh.rename(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return Wheel(path=folder / name, sha256=digest, size_bytes=len(content))


def wheel_store() -> WheelStore:
    """The store of this installation."""
    return WheelStore(settings.DATA_DIR / "tools" / "horovod")


@contextmanager
def wheel_lock(key: WheelKey, *, waiting: Callable[[], None]) -> Iterator[None]:
    """One process at a time makes the wheel of a key. While another does, ``waiting`` is called twice a second; it
    raises to give up. The death of the holder frees the lock; it is not inherited by what the holder starts."""
    folder = settings.DATA_DIR / "tmp" / "locks"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder / f"horovod-{key.digest}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            waiting()
            time.sleep(_LOOK_EVERY_S)
        yield
    finally:
        os.close(handle)


def wheel_read(path: Path, *, owner: int) -> bytes:
    """The content of a wheel that a build has made. Raises EnvironmentFailed when it is no regular file of the build's
    user: whatever else lies under its name could be a link to what builds may not read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise EnvironmentFailed(f"The compiled wheel {path.name} cannot be read: {error.strerror}.") from error
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(handle)
        if facts.st_uid != owner or facts.st_nlink != 1 or (facts.st_mode & 0o170000) != 0o100000:
            raise EnvironmentFailed(f"The compiled wheel {path.name} is not a file of the user that builds.")
        if facts.st_size > MOST_WHEEL_BYTES:
            raise EnvironmentFailed(
                f"The compiled wheel has {facts.st_size / 1e6:,.0f} MB; it may have {MOST_WHEEL_BYTES / 1e6:,.0f} MB."
            )
        return file.read(MOST_WHEEL_BYTES)


def _check(name: str, content: bytes) -> None:
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise EnvironmentFailed(f"Compiling Horovod made {name}, which is no wheel: {error}.") from error
    if f"horovod-{VERSION}.dist-info/METADATA" not in names or not any(_LIBRARY.fullmatch(one) for one in names):
        raise EnvironmentFailed(
            f"Compiling Horovod made {name}, which does not hold its library for TensorFlow. See the build's log."
        )


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o644)
