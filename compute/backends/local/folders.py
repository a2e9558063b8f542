"""The folders of the local target below the data folder: their names, owners and rights."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from compute.backends.local.identities import Identities

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Where things lie. ``data`` is the data folder."""

    data: Path

    @property
    def tasks(self) -> Path:
        return self.data / "tasks"

    @property
    def tools(self) -> Path:
        return self.data / "tools"

    @property
    def environments(self) -> Path:
        return self.data / "environments"

    @property
    def build(self) -> Path:
        return self.data / "build"

    @property
    def apart(self) -> Path:
        return self.data / "apart"

    @property
    def caches(self) -> Path:
        return self.data / "caches"

    @property
    def index(self) -> Path:
        return self.data / "index"

    def task(self, key: str) -> Path:
        """The folder of the task ``key``. Raises ValueError for a key that is no plain file name."""
        if not _KEY.fullmatch(key):
            raise ValueError(f"The task key {key!r} must be letters, digits, dots, dashes and underscores.")
        return self.tasks / key

    def apart_place(self, name: str) -> Path:
        """The place of the build ``name``. Raises ValueError for one that is no plain file name."""
        if not _KEY.fullmatch(name):
            raise ValueError(f"The name {name!r} must be letters, digits, dots, dashes and underscores.")
        return self.apart / name

    def cache(self, key: str) -> Path:
        """The folder of downloads of ``key``. Raises ValueError for a key that is no plain file name."""
        if not _KEY.fullmatch(key):
            raise ValueError(f"The cache key {key!r} must be letters, digits, dots, dashes and underscores.")
        return self.caches / key

    def half_laid(self, key: str) -> Path:
        """The folder of the task ``key`` while it is being laid out. No key begins with a dot."""
        return self.task(key).with_name(f".laying-{key}")

    def ensure(self, identities: Identities) -> None:
        """Makes the folders with their owners and rights. Idempotent."""
        build = identities.build.owner
        for path, mode, owner in (
            (self.data, 0o711, os.geteuid()),
            (self.tasks, 0o711, os.geteuid()),
            (self.apart, 0o711, os.geteuid()),
            (self.caches, 0o711, os.geteuid()),
            (self.tools, 0o755, os.geteuid()),
            (self.environments, 0o711, build),
            (self.build, 0o700, build),
        ):
            if not path.is_dir():
                path.mkdir(mode=mode, parents=True, exist_ok=True)
            found = path.stat()
            if path == self.data:
                continue  # the installation's own; whoever made it chose its rights
            if found.st_uid != owner:
                os.chown(path, owner, owner)
            if found.st_mode & 0o777 != mode:
                path.chmod(mode)
