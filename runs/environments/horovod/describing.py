"""Horovod in the canonical description of an environment, and what a machine has to say to it beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from packaging.requirements import Requirement

from compute.backends.base import ComputeBackend
from runs.environments.horovod.beside import beside_digest
from runs.environments.horovod.key import python_of
from runs.environments.horovod.machine import Machine, machine_look, missing_to_compile, missing_to_run
from runs.environments.horovod.operations import WITHOUT_NCCL, Operations, operations_for
from runs.environments.horovod.recipe import REQUIRES, VERSION, recipe_revision
from runs.environments.horovod.store import wheel_store
from runs.environments.horovod.wanted import framework_problem
from runs.environments.interpreters import Interpreter
from runs.errors import EnvironmentFailed

#: Horovod on the index is a source package that does not build; whoever depends on it gets the wheel from here.
OVERRIDE = "horovod ; python_version < '3'"


def horovod_described(
    framework: Sequence[str], interpreter: Interpreter, backend: ComputeBackend, *, gpu: bool
) -> dict[str, Any]:
    """What decides the Horovod of an environment with these requirements of TensorFlow. Raises EnvironmentFailed when
    there is none for them, and when the machine lacks what it takes."""
    if problem := framework_problem(framework):
        raise EnvironmentFailed(problem)
    machine = machine_look(backend, interpreter.path)
    operations = operations_for(machine, framework, gpu=gpu)
    if problem := machine_problem(machine, framework, interpreter, operations):
        raise EnvironmentFailed(problem)
    return {
        "version": VERSION,
        "requires": list(REQUIRES),
        "mpi": machine.mpi,
        "operations": operations.name,
        "recipe": recipe_revision(),
        "module": beside_digest(),
    }


def machine_problem(
    machine: Machine, framework: Sequence[str], interpreter: Interpreter, operations: Operations
) -> str:
    """What stands in the way on this machine, as a sentence; empty when nothing. Where the wheel has been compiled
    before, no compiler is needed any more."""
    problem = missing_to_run(machine)
    if problem:
        return problem
    problem = missing_to_compile(machine)
    return problem if problem and not is_kept(machine, framework, interpreter, operations) else ""


def is_kept(machine: Machine, framework: Sequence[str], interpreter: Interpreter, operations: Operations) -> bool:
    """Whether a wheel is kept that serves these requirements of TensorFlow on this machine."""
    wanted = [Requirement(line) for line in framework]
    python = [list(pair) for pair in python_of(interpreter.identity)]
    for facts in wheel_store().kept():
        name, _, version = str(facts.get("tensorflow")).partition("==")
        if (
            all(requirement.name == name and requirement.specifier.contains(version) for requirement in wanted)
            and facts.get("mpi") == machine.mpi
            and facts.get("operations") == operations.name
            and facts.get("recipe") == recipe_revision()
            and facts.get("python") == python
        ):
            return True
    return False


def horovod_advice(
    framework: Sequence[str], interpreter: Interpreter, backend: ComputeBackend, *, gpu: bool
) -> list[str]:
    """What a person should know before submitting, as sentences. Empty where a problem stands in the way."""
    if framework_problem(framework):
        return []
    machine = machine_look(backend, interpreter.path, fresh=False)
    operations = operations_for(machine, framework, gpu=gpu)
    if machine_problem(machine, framework, interpreter, operations):
        return []
    advice = []
    if not is_kept(machine, framework, interpreter, operations):
        advice.append(
            f"Horovod {VERSION} is compiled for {', '.join(framework)} before the first run with it, which takes one "
            "to three minutes. Later runs use the same wheel."
        )
    if operations.reason:
        advice.append(f"{operations.reason} {WITHOUT_NCCL}")
    return advice
