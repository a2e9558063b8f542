"""What a target's machine has of the parts that Horovod needs, and what is missing, with the packages to install."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compute.backends.base import ComputeBackend
from runs.errors import EnvironmentFailed

_LOOK = Path(__file__).with_name("look.py").read_text()
_TIMEOUT_S = 60.0
#: A form asks on every change, and what is installed on a machine does not change by the second.
_KEPT_S = 30.0
_OLDEST_CMAKE = (3, 13)

#: Debian's package of each program.
_PACKAGES = {
    "g++": "g++",
    "make": "make",
    "cmake": "cmake",
    "mpicxx": "libopenmpi-dev",
    "mpirun": "openmpi-bin",
}
INSTALL_ALL = "apt-get install g++ make cmake openmpi-bin libopenmpi-dev openssh-client"
_TO_COMPILE = ("g++", "make", "cmake", "mpicxx")
_TO_RUN = ("mpirun",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolkit:
    """A CUDA toolkit with its compiler. The others are folders, empty where the part is missing."""

    root: str
    version: str
    headers: str
    runtime: str
    nccl_headers: str
    nccl: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """``programs`` by name with their paths; ``mpi`` is that of mpirun (``Open MPI 4.1.4``, empty: none that is known),
    ``mpi_compiler`` that of mpicxx; ``cmake`` is its version."""

    programs: Mapping[str, str]
    mpi: str
    mpi_compiler: str
    cmake: str
    cuda: tuple[Toolkit, ...] = ()


_kept: dict[tuple[str, str], tuple[float, Machine]] = {}


def machine_look(
    backend: ComputeBackend, python: Path, *, environ: Mapping[str, str] | None = None, fresh: bool = True
) -> Machine:
    """The parts of the target's machine, as a build would find them. Takes about 0.1 s; ``fresh=False`` takes an answer
    of the last half minute too. ``environ`` stands in for a build's variables. Raises EnvironmentFailed when no build
    can run there."""
    key = (str(backend.environment_root()), str(python))
    kept = _kept.get(key)
    if not fresh and kept is not None and time.monotonic() - kept[0] < _KEPT_S:
        return kept[1]
    answer = bytearray()
    command = backend.build_command([str(python), "-I", "-S", "-c", _LOOK], environ=dict(environ or {}))
    try:
        code = command.run(output=answer.extend, timeout_s=_TIMEOUT_S)
        if code != 0:
            raise ValueError(answer.decode("utf-8", "replace")[-500:])
        machine = _machine(json.loads(answer.splitlines()[-1]))
    except (OSError, TimeoutError, ValueError, IndexError, KeyError, TypeError) as error:
        raise EnvironmentFailed(f"The machine cannot be looked at for what Horovod needs: {error}") from error
    _kept[key] = (time.monotonic(), machine)
    return machine


def missing_to_run(machine: Machine) -> str:
    """What a run with Horovod lacks on the machine, as a sentence; empty when nothing."""
    missing = [name for name in _TO_RUN if name not in machine.programs]
    if missing:
        return _lacks(missing, "runs over MPI")
    if not machine.mpi:
        return (
            f"{machine.programs['mpirun']} is no MPI that is known here (Open MPI, MPICH, Intel MPI). "
            "Install Open MPI, on Debian and Ubuntu: apt-get install openmpi-bin libopenmpi-dev openssh-client"
        )
    return ""


def missing_to_compile(machine: Machine) -> str:
    """What compiling Horovod lacks on the machine, as a sentence; empty when nothing."""
    missing = [name for name in (*_TO_COMPILE, *_TO_RUN) if name not in machine.programs]
    if missing:
        return _lacks(missing, "is compiled for each TensorFlow version")
    if machine.mpi_compiler and machine.mpi_compiler != machine.mpi:
        return (
            f"mpicxx belongs to {machine.mpi_compiler} and mpirun to {machine.mpi}, and Horovod needs both of the same "
            "MPI. Remove one, or choose with: update-alternatives --config mpi"
        )
    if _numbers(machine.cmake) < _OLDEST_CMAKE:
        return f"CMake is {machine.cmake or 'of an unknown version'}; Horovod needs 3.13 or newer."
    return missing_to_run(machine)


def _lacks(missing: list[str], why: str) -> str:
    packages = " ".join(dict.fromkeys(_PACKAGES[name] for name in missing))
    return (
        f"Horovod {why}, and the machine lacks {', '.join(missing)}. Ask an administrator to install it, on Debian and "
        f"Ubuntu: apt-get install {packages}"
    )


def _machine(facts: dict[str, Any]) -> Machine:
    return Machine(
        programs={str(name): str(path) for name, path in facts["programs"].items()},
        mpi=str(facts["mpi"]),
        mpi_compiler=str(facts["mpi_compiler"]),
        cmake=str(facts["cmake"]),
        cuda=tuple(Toolkit(**{name: str(value) for name, value in each.items()}) for each in facts["cuda"]),
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
