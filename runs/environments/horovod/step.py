"""Horovod in the build of an environment: the wheel found or compiled, installed, tried."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from django.conf import settings

from runs.environments.horovod.beside import beside_kept
from runs.environments.horovod.compiling import wheel_compile, wheel_try
from runs.environments.horovod.key import WheelKey, python_of
from runs.environments.horovod.machine import Machine, machine_look, missing_to_compile, missing_to_run
from runs.environments.horovod.making import PHASE
from runs.environments.horovod.operations import WITHOUT_NCCL, Operations, operations_for
from runs.environments.horovod.recipe import recipe_revision
from runs.environments.horovod.store import Wheel, wheel_lock, wheel_read, wheel_store
from runs.environments.horovod.wanted import recipe_of
from runs.environments.interpreters import Interpreter
from runs.environments.lock import lock_block, lock_packages, lock_with_horovod
from runs.environments.realised import remains_remove
from runs.environments.workshop import REMOVE_WITHIN_S, Workshop
from runs.errors import EnvironmentFailed

_FRAMEWORKS = ("tensorflow", "tensorflow-cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What comes on top of the packages from the index: requirement lines, and the lock that names it."""

    requirements: tuple[str, ...]
    lock: str


def horovod_wheels(workshop: Workshop, lock: str, interpreter: Interpreter) -> Compiled:
    """Horovod for the TensorFlow of ``lock``, compiled unless it was before, and the part beside it. Raises
    EnvironmentFailed with the reason.

    The description says with which MPI, operations and recipe; when that wheel is not kept and the machine has others
    by now, those are taken, and the log and the lock say so.
    """
    described = workshop.spec["horovod"]
    tensorflow = _tensorflow(lock)
    key = WheelKey(
        horovod=described["version"],
        tensorflow=tensorflow,
        python=python_of(interpreter.identity),
        mpi=described["mpi"],
        operations=described["operations"],
        edits=recipe_of(tensorflow.partition("==")[2]).edits,
        recipe=described["recipe"],
    )
    machine = machine_look(workshop.backend, interpreter.path, environ=workshop.environ)
    if lacks := missing_to_run(machine):
        raise EnvironmentFailed(lacks)
    operations = operations_for(machine, workshop.spec["framework"]["requirements"], gpu=workshop.spec["gpu"])
    wheel = wheel_store().find(key)
    if wheel is None:
        now = replace(key, mpi=machine.mpi, operations=operations.name, recipe=recipe_revision())
        if now != key:
            workshop.say(f"{key.words} (recipe {key.recipe}) cannot be made any more; in its place comes {now.words}.")
        key, wheel = now, _compiled(workshop, now, lock, interpreter, machine, operations)
    else:
        workshop.say(f"{key.words}: the wheel that was compiled before")
    if operations.reason and key.operations == operations.name:
        workshop.say(f"{operations.reason} {WITHOUT_NCCL}")
    module, beside = beside_kept(wheel_store().root, described["module"])
    if module != described["module"]:
        workshop.say(f"The part beside Horovod is version {module}; {described['module']} is not kept any more.")
    return Compiled(
        requirements=(wheel.requirement, beside.requirement),
        lock=lock_with_horovod(
            lock,
            version=key.horovod,
            tensorflow=tensorflow.partition("==")[2],
            mpi=key.mpi,
            operations=key.operations,
            recipe=key.recipe,
            wheel=wheel.sha256,
            module=module,
        ),
    )


def horovod_try(workshop: Workshop) -> None:
    """Imports Horovod in the installed environment and reduces a number. Raises EnvironmentFailed when it fails.

    Any package of the run may have its say in that Python, so it runs as a user that owns nothing."""
    workshop.progress.say("check", "Trying Horovod out")
    apart = workshop.apart
    workshop.backend.build_apart_remove(apart)  # what a killed build left
    try:
        workshop.backend.build_apart(apart)
        wheel_try(workshop, workshop.python, apart=apart)
    except LookupError as error:
        raise EnvironmentFailed(str(error)) from error
    finally:
        workshop.backend.build_apart_remove(apart)


def _compiled(
    workshop: Workshop, key: WheelKey, lock: str, interpreter: Interpreter, machine: Machine, operations: Operations
) -> Wheel:
    """The wheel of ``key``, made here, or by another process meanwhile."""
    store = wheel_store()
    with wheel_lock(key, waiting=lambda: _wait(workshop)):
        found = store.find(key)
        if found is not None:
            workshop.say(f"{key.words}: another build has compiled it meanwhile")
            return found
        if lacks := missing_to_compile(machine):
            raise EnvironmentFailed(lacks)
        if store.is_damaged(key):
            workshop.say("The wheel that is kept is damaged (its SHA-256 is another one), so it is compiled again")
        workshop.say(f"Compiling {key.words}, once for every environment with these")
        folder = settings.DATA_DIR / "build" / "tmp" / f"horovod-{key.digest}"
        remains_remove(workshop.backend, folder, within_s=REMOVE_WITHIN_S)  # of a builder that was killed
        started = time.monotonic()
        try:
            made = wheel_compile(
                workshop,
                python=interpreter.path,
                tensorflow=_build_requirement(lock, key.tensorflow, operations),
                edits=key.edits,
                folder=folder,
                operations=operations,
            )
            content = wheel_read(made, owner=workshop.backend.environment_root().stat().st_uid)
        finally:
            remains_remove(workshop.backend, folder, within_s=REMOVE_WITHIN_S)
        wheel = store.keep(key, made.name, content)
        workshop.say(f"Compiled in {time.monotonic() - started:.0f} s: {wheel.size_bytes / 1e6:.1f} MB")
        return wheel


def _tensorflow(lock: str) -> str:
    """The TensorFlow of the lock as ``tensorflow-cpu==2.21.0``."""
    found = [line for line in lock_packages(lock) if line.partition("==")[0] in _FRAMEWORKS and "==" in line]
    if len(found) != 1:
        raise EnvironmentFailed(
            f"Horovod is built for exactly one TensorFlow, and this environment has {', '.join(found) or 'none'} from "
            "the package index. Leave TensorFlow to the chosen version, or pin a release: tensorflow==2.21.0."
        )
    return found[0]


def _build_requirement(lock: str, tensorflow: str, operations: Operations) -> str:
    """TensorFlow with the hashes of the lock; with its own NCCL where that is what Horovod is linked with."""
    name = tensorflow.partition("==")[0]
    block = lock_block(lock, name)
    return block.replace(f"{name}==", f"{name}[and-cuda]==", 1) if operations.nccl_in_packages else block


def _wait(workshop: Workshop) -> None:
    workshop.progress.say(PHASE, "Waiting for another build that compiles the same Horovod")
    if workshop.time_left_s < 0:
        raise EnvironmentFailed("Another build was compiling the same Horovod for too long. Submit again.")
