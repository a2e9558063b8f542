"""What decides a Horovod wheel: two environments with the same key share it. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from runs.environments.horovod.recipe import VERSION

#: Of a Python, what a compiled wheel depends on; its patch version is none of it.
_PYTHON = ("implementation", "soabi", "machine", "system", "libc")


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelKey:
    """``tensorflow`` is the distribution with its exact version (``tensorflow-cpu==2.21.0``): Horovod refuses to load
    beside any other. ``operations`` is ``cpu``, or ``nccl`` with the CUDA version; ``edits`` are the names of the
    source's edits, and ``recipe`` the revision of all of it."""

    tensorflow: str
    python: tuple[tuple[str, str], ...]
    mpi: str
    operations: str
    edits: tuple[str, ...]
    recipe: str
    horovod: str = VERSION

    @property
    def digest(self) -> str:
        """A name for the wheel's folder."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:24]

    @property
    def words(self) -> str:
        """For people: ``Horovod 0.28.1 for tensorflow-cpu 2.21.0, Open MPI 4.1.4, cpu``."""
        return f"Horovod {self.horovod} for {self.tensorflow.replace('==', ' ')}, {self.mpi}, {self.operations}"


def python_of(identity: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What of a Python's identity belongs into a key."""
    return tuple((name, identity[name]) for name in _PYTHON)
