"""A stand-in for the compilation, which leaves a wheel where the real one does and with a build's rights, and the order
of an environment that has Horovod and a TensorFlow from an index of the tests."""

import shutil
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from compute.backends.base import ComputeBackend
from compute.models import ComputeTarget
from runs.environments.horovod import step
from runs.environments.horovod.machine import Machine, machine_look
from runs.environments.horovod.recipe import VERSION, recipe_revision
from runs.environments.horovod.store import WheelStore, wheel_store
from runs.environments.interpreters import Interpreter
from runs.environments.request import spec_digest
from runs.models import Environment

NAME = f"horovod-{VERSION}-cp311-cp311-linux_x86_64.whl"


def wheel_content(*, marker: str = "") -> bytes:
    """A wheel of the right names, which can be installed; ``marker`` makes another one of it."""
    info = f"horovod-{VERSION}.dist-info"
    files = {
        "horovod/__init__.py": f"marker = {marker!r}\n",
        "horovod/tensorflow/mpi_lib.cpython-311-x86_64-linux-gnu.so": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: horovod\nVersion: {VERSION}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return buffer.getvalue()


@dataclass
class Compiler:
    """Counts what is compiled; ``during`` is called in the middle of it."""

    keys: list[str] = field(default_factory=list)
    content: bytes = field(default_factory=wheel_content)
    during: Callable[[Path], None] = lambda folder: None

    def __call__(self, bench: Any, *, tensorflow: str, folder: Path, **_: Any) -> Path:
        self.keys.append(tensorflow.split(" ")[0])
        given = bench.hand_over("made.whl", self.content)
        place = folder / "wheel" / NAME
        bench.command(["/bin/mkdir", "-p", str(place.parent)], what="Making a folder")
        self.during(folder)
        bench.command(["/bin/cp", given, str(place)], what="Making a wheel")
        return place


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Compiler:
    """In place of the compiler; the wheel is not tried either."""
    stand_in = Compiler()
    monkeypatch.setattr(step, "wheel_compile", stand_in)
    monkeypatch.setattr(step, "wheel_try", lambda bench, python, **_: bench.say("tried"))
    return stand_in


@pytest.fixture
def store() -> WheelStore:
    """The store of this installation, empty: its folder outlives a test."""
    shutil.rmtree(wheel_store().root, ignore_errors=True)
    return wheel_store()


@pytest.fixture
def machine(backend: ComputeBackend, interpreter: Interpreter, needs: Callable[[object, str], None]) -> Machine:
    """This machine, which has all parts."""
    found = machine_look(backend, interpreter.path)
    needs(found.mpi and "mpicxx" in found.programs, "Open MPI with its compiler (openmpi-bin, libopenmpi-dev)")
    return found


@pytest.fixture
def mpi_order(target: ComputeTarget, interpreter: Interpreter, machine: Machine) -> Callable[..., Environment]:
    """``mpi_order("extra", ...)``: the row of an environment of tensorflow-cpu 2.21.0, Horovod and these packages."""

    def make(*requirements: str, **horovod: str) -> Environment:
        spec = {
            "schema": 1,
            "framework": {"version": "2.21.0", "requirements": ["tensorflow-cpu==2.21.0"], "pinned_by": "platform"},
            "added": [],
            "packages": list(requirements),
            "python": interpreter.identity,
            "gpu": False,
            "nonce": uuid.uuid4().hex,
            "horovod": {
                **{"version": VERSION, "requires": [], "mpi": machine.mpi, "operations": "cpu"},
                **{"recipe": recipe_revision(), "module": "0"},
                **horovod,
            },
        }
        return Environment.objects.create(target=target, digest=spec_digest(spec), spec=spec)

    return make
