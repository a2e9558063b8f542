"""What a submission that wants Horovod should hear: what stands in its way, and what to expect."""

from __future__ import annotations

from compute.backends.base import ComputeBackend
from runs.environments.horovod.describing import horovod_advice, machine_problem
from runs.environments.horovod.machine import machine_look
from runs.environments.horovod.operations import operations_for
from runs.environments.horovod.wanted import framework_problem, horovod_wanted, is_horovod
from runs.environments.interpreters import Interpreter, interpreter_choose
from runs.environments.newest import newest_release, newest_remembered
from runs.environments.packages import packages_of, release_for
from runs.environments.request import release_chosen
from runs.environments.requirements import Read
from runs.environments.wishes import FORM, Wishes, wishes_of
from runs.errors import EnvironmentFailed
from runs.spec import Problem, RunSpec


def horovod_problems(spec: RunSpec, read: Read | None, backend: ComputeBackend) -> list[Problem]:
    """Why there can be no Horovod for this submission on the target of ``backend``: its TensorFlow, or parts that the
    machine lacks. Empty without Horovod, and where the packages have problems of their own. Takes about 0.2 s."""
    wishes = wishes_of(spec, read)
    if wishes.problems or not horovod_wanted(spec.distributed_backend, wishes.requirements):
        return []
    try:
        framework, interpreter = _ground(spec, wishes, backend)
        problem = framework_problem(framework)
        if not problem:
            machine = machine_look(backend, interpreter.path, fresh=False)
            operations = operations_for(machine, framework, gpu=spec.use_gpu)
            problem = machine_problem(machine, framework, interpreter, operations)
    except EnvironmentFailed as error:
        problem = str(error)
    return [Problem(field=_field(spec, wishes), message=problem)] if problem else []


def horovod_expectations(spec: RunSpec, read: Read | None, backend: ComputeBackend) -> list[str]:
    """What is no problem and good to know, as sentences. Empty where ``horovod_problems`` has some."""
    wishes = wishes_of(spec, read)
    if wishes.problems or not horovod_wanted(spec.distributed_backend, wishes.requirements):
        return []
    try:
        framework, interpreter = _ground(spec, wishes, backend)
        return horovod_advice(framework, interpreter, backend, gpu=spec.use_gpu)
    except EnvironmentFailed:
        return []


def _ground(spec: RunSpec, wishes: Wishes, backend: ComputeBackend) -> tuple[tuple[str, ...], Interpreter]:
    """The requirements of TensorFlow and the Python on which the environment will stand."""
    newest = None
    if not spec.framework_version:
        newest = newest_remembered(backend, horovod=True) or newest_release(backend, horovod=True)
    chosen = release_chosen(spec.framework_version) if newest is None else newest.release
    release = release_for(wishes.lines, chosen)
    if newest is not None and release == newest.release:
        interpreter = newest.interpreter
    else:
        interpreter = interpreter_choose(backend, release.pythons, wanted_by=f"TensorFlow {release.version}")
    packages = packages_of(
        wishes.lines, release, gpu=spec.use_gpu, machine=interpreter.machine, legacy_keras=spec.legacy_keras
    )
    return packages.framework, interpreter


def _field(spec: RunSpec, wishes: Wishes) -> str:
    if spec.distributed_backend == "mpi":
        return "distributed_backend"
    named = next(asked for asked in wishes.requirements if is_horovod(asked.requirement))
    return "pip_packages" if named.where == FORM else "pip_requirements_file"
