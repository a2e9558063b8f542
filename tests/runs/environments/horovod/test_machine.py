import os
from dataclasses import replace
from pathlib import Path

import pytest

from compute.backends.base import ComputeBackend
from runs.environments.horovod.describing import horovod_advice, horovod_described, machine_problem
from runs.environments.horovod.key import WheelKey, python_of
from runs.environments.horovod.look import mpi_name
from runs.environments.horovod.machine import Machine, machine_look, missing_to_compile, missing_to_run
from runs.environments.horovod.operations import Operations
from runs.environments.horovod.recipe import recipe_revision
from runs.environments.horovod.store import WheelStore
from runs.environments.interpreters import Interpreter
from runs.errors import EnvironmentFailed
from tests.runs.environments.horovod.conftest import NAME, wheel_content

FRAMEWORK = ("tensorflow-cpu==2.21.0",)
CPU = Operations(name="cpu")
WHOLE = Machine(
    programs={name: f"/usr/bin/{name}" for name in ("g++", "make", "cmake", "mpicxx", "mpirun")},
    mpi="Open MPI 4.1.4",
    mpi_compiler="Open MPI 4.1.4",
    cmake="3.25.1",
)


def without(*names: str) -> Machine:
    return replace(WHOLE, programs={name: path for name, path in WHOLE.programs.items() if name not in names})


@pytest.fixture
def empty_path(open_folder: Path) -> dict[str, str]:
    return {"PATH": str(open_folder)}


def test_on_a_machine_without_anything_every_part_is_named_with_its_package(
    backend: ComputeBackend, interpreter: Interpreter, empty_path: dict[str, str]
) -> None:
    found = machine_look(backend, interpreter.path, environ=empty_path)
    assert found.programs == {}
    assert missing_to_compile(found) == (
        "Horovod is compiled for each TensorFlow version, and the machine lacks g++, make, cmake, mpicxx, mpirun. Ask "
        "an administrator to install it, on Debian and Ubuntu: apt-get install g++ make cmake libopenmpi-dev "
        "openmpi-bin"
    )


def test_a_path_with_some_of_the_parts_names_the_others(
    backend: ComputeBackend, interpreter: Interpreter, empty_path: dict[str, str]
) -> None:
    for name in ("g++", "make", "mpirun"):
        program = Path(empty_path["PATH"]) / name
        program.write_text("#!/bin/sh\necho 'mpirun (Open MPI) 5.0.3'\n")
        program.chmod(0o755)
    found = machine_look(backend, interpreter.path, environ=empty_path)
    assert found.mpi == "Open MPI 5.0.3"
    assert "lacks cmake, mpicxx." in missing_to_compile(found)
    assert missing_to_run(found) == ""


def test_this_machine_is_looked_at_as_the_user_that_builds_sees_it(machine: Machine) -> None:
    assert missing_to_compile(machine) == ""
    assert machine.mpi == machine.mpi_compiler


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("mpirun (Open MPI) 4.1.4\n\nReport bugs to …", "Open MPI 4.1.4"),
        ("mpicxx: Open MPI 4.1.4 (Language: C++)", "Open MPI 4.1.4"),
        ("HYDRA build details:\n    Version:                                 4.0.2\n", "MPICH 4.0.2"),
        ("mpicxx for MPICH version 4.0.2\nUsing built-in specs.", "MPICH 4.0.2"),
        ("Intel(R) MPI Library for Linux* OS, Version 2021.9 Build 20230307", "Intel MPI 2021.9"),
        ("something else 1.0", ""),
    ],
)
def test_the_mpi_is_read_from_its_own_words(text: str, name: str) -> None:
    assert mpi_name(text) == name


def test_two_mpis_and_an_old_cmake_are_named() -> None:
    assert "mpicxx belongs to MPICH 4.0.2 and mpirun to Open MPI 4.1.4" in missing_to_compile(
        replace(WHOLE, mpi_compiler="MPICH 4.0.2")
    )
    assert "CMake is 3.10.2; Horovod needs 3.13 or newer" in missing_to_compile(replace(WHOLE, cmake="3.10.2"))
    assert "is no MPI that is known here" in missing_to_run(replace(WHOLE, mpi=""))


def test_without_a_compiler_a_kept_wheel_serves_and_only_for_what_it_was_compiled_for(
    db: None, interpreter: Interpreter, store: WheelStore
) -> None:
    bare = without("g++", "cmake", "mpicxx")
    assert "lacks g++, cmake, mpicxx" in machine_problem(bare, FRAMEWORK, interpreter, CPU)
    key = WheelKey(
        tensorflow="tensorflow-cpu==2.21.0",
        python=python_of(interpreter.identity),
        mpi=WHOLE.mpi,
        operations="cpu",
        edits=(),
        recipe=recipe_revision(),
    )
    store.keep(key, NAME, wheel_content())
    assert machine_problem(bare, FRAMEWORK, interpreter, CPU) == ""
    assert machine_problem(bare, ("tensorflow-cpu>=2.18",), interpreter, CPU) == ""
    assert machine_problem(bare, ("tensorflow-cpu==2.20.0",), interpreter, CPU) != ""
    assert machine_problem(replace(bare, mpi="MPICH 4.0.2"), FRAMEWORK, interpreter, CPU) != ""
    assert machine_problem(bare, FRAMEWORK, interpreter, Operations(name="nccl cuda 12.5")) != ""
    assert "runs over MPI, and the machine lacks mpirun" in machine_problem(
        without("mpirun"), FRAMEWORK, interpreter, CPU
    )


def test_the_description_says_what_decides_the_wheel(
    backend: ComputeBackend, interpreter: Interpreter, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = horovod_described(FRAMEWORK, interpreter, backend, gpu=False)
    assert described["version"] == "0.28.1"
    assert described["mpi"] == machine.mpi
    assert described["operations"] == "cpu"
    assert described["recipe"] == recipe_revision()
    assert "cloudpickle" in described["requires"]
    with pytest.raises(EnvironmentFailed, match="has no Horovod here"):
        horovod_described(("tensorflow==2.10.0",), interpreter, backend, gpu=False)


def test_a_person_hears_that_it_will_be_compiled_and_not_once_it_was(
    backend: ComputeBackend, interpreter: Interpreter, machine: Machine, store: WheelStore
) -> None:
    [sentence] = horovod_advice(("tensorflow-cpu==2.20.0",), interpreter, backend, gpu=False)
    assert "is compiled for tensorflow-cpu==2.20.0 before the first run" in sentence
    key = WheelKey(
        tensorflow="tensorflow-cpu==2.20.0",
        python=python_of(interpreter.identity),
        mpi=machine.mpi,
        operations="cpu",
        edits=(),
        recipe=recipe_revision(),
    )
    store.keep(key, NAME, wheel_content())
    assert horovod_advice(("tensorflow-cpu==2.20.0",), interpreter, backend, gpu=False) == []
    assert os.listdir(store.root / key.digest)
