import os
from pathlib import Path

import pytest

from runs.environments.advice import advice_on
from runs.environments.horovod.look import cuda_toolkit, look
from runs.environments.horovod.machine import Machine, Toolkit
from runs.environments.horovod.operations import operations_for
from runs.environments.lock import lock_with_horovod

FRAMEWORK = ["tensorflow[and-cuda]==2.21.0"]


def lay(root: Path, *, version: str = "12.5", headers: bool = True, runtime: bool = True, nccl: bool = False) -> Path:
    """A folder tree like that of a CUDA toolkit."""
    compiler = root / "bin" / "nvcc"
    compiler.parent.mkdir(parents=True)
    compiler.write_text(f"#!/bin/sh\necho 'Cuda compilation tools, release {version}, V{version}.40'\n")
    compiler.chmod(0o755)
    files = {"include/cuda_runtime.h": headers, "lib64/libcudart_static.a": runtime}
    files |= {"include/nccl.h": nccl, "lib64/libnccl.so": nccl}
    for name, is_there in files.items():
        if is_there:
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).touch()
    return root


def machine(*roots: Path) -> Machine:
    found = [toolkit for root in roots if (toolkit := cuda_toolkit(str(root)))]
    return Machine(
        programs={}, mpi="Open MPI 4.1.4", mpi_compiler="", cmake="", cuda=tuple(Toolkit(**each) for each in found)
    )


def test_a_toolkit_of_tensorflows_cuda_gives_nccl_by_tensorflows_own_copy(tmp_path: Path) -> None:
    found = operations_for(machine(lay(tmp_path / "cuda")), FRAMEWORK, gpu=True)
    assert (found.name, found.nccl_in_packages, found.reason) == ("nccl cuda 12.5", True, "")
    assert found.toolkit is not None
    assert found.toolkit.root == str(tmp_path / "cuda")


def test_without_that_copy_the_machines_nccl_is_taken(tmp_path: Path) -> None:
    found = operations_for(machine(lay(tmp_path / "cuda", nccl=True)), ["tensorflow[extra]==2.21.0"], gpu=True)
    assert (found.name, found.nccl_in_packages) == ("nccl cuda 12.5", False)
    assert found.toolkit is not None
    assert found.toolkit.nccl == str(tmp_path / "cuda" / "lib64")


def test_the_fitting_one_of_several_toolkits_is_taken(tmp_path: Path) -> None:
    newer, fitting = lay(tmp_path / "cuda-13.0", version="13.0"), lay(tmp_path / "cuda-12.4", version="12.4")
    assert operations_for(machine(newer, fitting), FRAMEWORK, gpu=True).name == "nccl cuda 12.4"


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        ({"version": "13.0"}, "TensorFlow needs CUDA 12, and the machine's toolkit is 13.0"),
        ({"headers": False}, "lacks its headers (cuda_runtime.h)"),
        ({"runtime": False}, "lacks its static runtime (libcudart_static.a)"),
    ],
)
def test_what_a_toolkit_lacks_is_said_and_the_cpu_taken(tmp_path: Path, tree: dict, reason: str) -> None:
    found = operations_for(machine(lay(tmp_path / "cuda", **tree)), FRAMEWORK, gpu=True)
    assert found.name == "cpu"
    assert reason in found.reason


def test_no_toolkit_no_nccl_and_no_gpu_build_are_said(tmp_path: Path) -> None:
    assert "has no CUDA toolkit" in operations_for(machine(), FRAMEWORK, gpu=True).reason
    bare = machine(lay(tmp_path / "cuda"))
    assert "There is no NCCL" in operations_for(bare, ["tensorflow[extra]==2.21.0"], gpu=True).reason
    assert "can use no GPU" in operations_for(bare, ["tensorflow-cpu==2.21.0"], gpu=True).reason


def test_a_run_without_a_gpu_gets_the_cpu_wheel_and_nothing_is_said(tmp_path: Path) -> None:
    found = operations_for(machine(lay(tmp_path / "cuda")), FRAMEWORK, gpu=False)
    assert (found.name, found.toolkit, found.reason) == ("cpu", None, "")


def test_a_folder_without_a_compiler_that_runs_is_no_toolkit(tmp_path: Path) -> None:
    root = lay(tmp_path / "cuda")
    os.chmod(root / "bin" / "nvcc", 0o644)
    assert cuda_toolkit(str(root)) is None
    assert look([str(root)])["cuda"] == []


def test_the_same_toolkit_under_two_names_counts_once(tmp_path: Path) -> None:
    lay(tmp_path / "cuda-12.5")
    (tmp_path / "cuda").symlink_to("cuda-12.5")
    found = look([str(tmp_path / "cuda"), str(tmp_path / "cuda-*")])["cuda"]
    assert [each["root"] for each in found] == [str(tmp_path / "cuda")]


def test_the_page_of_a_gpu_run_says_that_reductions_go_over_the_cpu() -> None:
    framework = {"requirements": FRAMEWORK, "pinned_by": "platform"}
    described = {"framework": framework, "gpu": True, "horovod": {"operations": "cpu"}}
    [sentence] = advice_on(described, legacy_keras=False)
    assert "reduces over the CPU" in sentence
    assert "apt-get install" in sentence
    assert advice_on({**described, "horovod": {"operations": "nccl cuda 12.5"}}, legacy_keras=False) == []
    assert advice_on({**described, "gpu": False}, legacy_keras=False) == []


def test_what_took_the_place_of_nccl_is_said_too() -> None:
    framework = {"version": "2.21.0", "requirements": FRAMEWORK, "pinned_by": "platform"}
    described = {"framework": framework, "gpu": True, "horovod": {"operations": "nccl cuda 12.5"}}
    line = {"version": "0.28.1", "tensorflow": "2.21.0", "mpi": "Open MPI 4.1.4", "recipe": "0", "module": "0"}
    lock = lock_with_horovod("", **line, operations="cpu", wheel="0" * 64)
    [sentence] = advice_on(described, lock=lock, legacy_keras=False)
    assert "reduces over the CPU" in sentence
    lock = lock_with_horovod("", **line, operations="nccl cuda 12.4", wheel="0" * 64)
    assert advice_on(described, lock=lock, legacy_keras=False) == []
