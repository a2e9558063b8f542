"""What a person hears of Horovod before submitting."""

import dataclasses
from pathlib import Path

import pytest

from compute.models import ComputeTarget
from runs.environments.horovod import beforehand, describing
from runs.environments.horovod.machine import Machine
from runs.errors import SpecProblems
from runs.models import Run
from runs.services import package_problems, run_submit, submission_advice
from runs.snapshots import snapshot_from_folder
from runs.spec import RunSpec

NAMED = RunSpec(pip_packages=("horovod",), framework_version="2.21.0")


@pytest.fixture
def bare(machine: Machine, monkeypatch: pytest.MonkeyPatch, store) -> Machine:
    """A machine with an MPI to run and nothing to compile."""
    found = dataclasses.replace(machine, programs={"mpirun": "/usr/bin/mpirun"})
    monkeypatch.setattr(beforehand, "machine_look", lambda *_, **__: found)
    monkeypatch.setattr(describing, "machine_look", lambda *_, **__: found)
    return found


def test_the_form_says_what_the_machine_lacks_and_a_submission_is_refused(
    target: ComputeTarget, bare: Machine, admin, tmp_path: Path
) -> None:
    [problem] = package_problems(NAMED, snapshot=None)
    assert problem.field == "pip_packages"
    assert problem.message.startswith("Horovod is compiled for each TensorFlow version, and the machine lacks g++,")
    assert problem.message.endswith("apt-get install g++ make cmake libopenmpi-dev")
    assert submission_advice(NAMED, snapshot=None) == []
    (tmp_path / "train.py").touch()
    snapshot = snapshot_from_folder(tmp_path)
    with pytest.raises(SpecProblems) as refused:
        run_submit(owner=admin, spec=NAMED, experiment_name="a", snapshot=snapshot, submission_key="k")
    assert problem in refused.value.problems
    assert not Run.objects.exists()


def test_for_the_distribution_it_is_said_there(target: ComputeTarget, bare: Machine) -> None:
    spec = RunSpec(distributed_backend="mpi", framework_version="2.21.0")
    assert [problem.field for problem in package_problems(spec, snapshot=None)] == ["distributed_backend"]


def test_a_file_that_names_it_is_told_at_the_file(target: ComputeTarget, bare: Machine, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("horovod\n")
    snapshot = snapshot_from_folder(tmp_path)
    spec = RunSpec(pip_requirements_file="requirements.txt", framework_version="2.21.0")
    assert [problem.field for problem in package_problems(spec, snapshot=snapshot)] == ["pip_requirements_file"]


def test_a_tensorflow_without_horovod_is_said_before_anything(target: ComputeTarget, machine: Machine) -> None:
    spec = dataclasses.replace(NAMED, pip_packages=("horovod", "tensorflow==2.13.1"), framework_version="")
    [problem] = package_problems(spec, snapshot=None)
    assert "TensorFlow 2.13.1 has no Horovod here" in problem.message
    nightly = dataclasses.replace(NAMED, pip_packages=("horovod", "tf-nightly"))
    assert "is no release that Horovod can be built for" in package_problems(nightly, snapshot=None)[0].message


def test_a_line_that_cannot_be_met_is_said_once_and_the_machine_is_not_asked(
    target: ComputeTarget, bare: Machine
) -> None:
    spec = dataclasses.replace(NAMED, pip_packages=("horovod==0.19.0",))
    [problem] = package_problems(spec, snapshot=None)
    assert "Horovod 0.28.1 is the version that is built here" in problem.message


def test_that_it_will_be_compiled_is_no_problem_and_said(target: ComputeTarget, machine: Machine, store) -> None:
    assert package_problems(NAMED, snapshot=None) == []
    assert any("is compiled for tensorflow-cpu==2.21.0" in line for line in submission_advice(NAMED, snapshot=None))


def test_a_gpu_run_hears_that_reductions_go_over_the_cpu_and_why(
    target: ComputeTarget, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = dataclasses.replace(machine, cuda=())
    monkeypatch.setattr(describing, "machine_look", lambda *_, **__: without)
    advice = submission_advice(dataclasses.replace(NAMED, use_gpu=True), snapshot=None)
    assert any(
        line.startswith("The machine has no CUDA toolkit (nvcc). Horovod reduces over the CPU in this environment")
        for line in advice
    )


def test_who_wants_no_horovod_hears_nothing_of_it(target: ComputeTarget, bare: Machine) -> None:
    assert package_problems(RunSpec(pip_packages=("six",)), snapshot=None) == []
    assert not any("Horovod" in line for line in submission_advice(RunSpec(), snapshot=None))


def test_where_no_python_fits_the_reason_names_a_version(
    target: ComputeTarget, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.environments.newest._remembered", {})
    monkeypatch.setattr("runs.environments.interpreters.PLACES", ())
    monkeypatch.setattr("runs.environments.interpreters._candidates", lambda _: iter(()))
    [problem] = package_problems(RunSpec(pip_packages=("horovod",)), snapshot=None)
    assert "needs Python" in problem.message
