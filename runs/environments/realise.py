"""The steps of a build, in their order: Python, resolve, compile Horovod, create, install, bytecode, seal, mark.

Every command runs with a build's rights. The environment is built at its final path, since virtual environments do not
relocate; what counts is the mark, which the server writes last.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from runs.environments.advice import conda_advice
from runs.environments.bytecode import bytecode_write
from runs.environments.conda.building import conda_installed
from runs.environments.horovod.step import horovod_try, horovod_wheels
from runs.environments.installing import packages_install, venv_create
from runs.environments.interpreters import interpreter_same
from runs.environments.newest import version_remarks
from runs.environments.realised import mark_remove, mark_write, remains_remove
from runs.environments.resolving import packages_resolve
from runs.environments.revisions import revision_check
from runs.environments.source_builds import sources_built, sources_install
from runs.environments.wholeness import stock_take
from runs.environments.workshop import REMOVE_WITHIN_S, Workshop


def realise(workshop: Workshop) -> dict[str, Any]:
    """Builds, seals and marks the environment; returns the mark. Raises EnvironmentFailed with the reason, OSError for
    the disk's own, and EnvironmentUnchanged for an update that need not be built."""
    spec = workshop.spec
    workshop.progress.say("resolve", "Reading the lock" if workshop.lock else "Resolving the packages")
    interpreter = interpreter_same(workshop.backend, spec["python"])
    _remove_earlier(workshop)
    workshop.say(f"Python {interpreter.version} at {interpreter.path}")
    _introduce(workshop)
    with conda_installed(workshop, interpreter) as conda:
        interpreter = conda.interpreter if conda else interpreter
        with sources_built(workshop, interpreter.path) as built:
            lock = workshop.lock or packages_resolve(workshop, interpreter.path, built, conda.beside if conda else None)
            revision_check(workshop.environment, lock)
            compiled = horovod_wheels(workshop, lock, interpreter) if "horovod" in spec else None
            if conda is None:
                venv_create(workshop, interpreter.path)
            packages_install(workshop, lock, compiled.requirements if compiled else (), keeping=conda is not None)
            sources_install(workshop, built, lock)
        bytecode_write(workshop, interpreter)
        if compiled:
            horovod_try(workshop)
            lock = compiled.lock
    workshop.progress.say("seal", "Closing the environment to writers")
    with ThreadPoolExecutor(max_workers=1) as beside:
        measured = beside.submit(stock_take, workshop.path)
        workshop.backend.seal(workshop.path)
    size_bytes, folders = measured.result()
    mark = {
        "digest": workshop.environment.digest,
        "python": interpreter.version,
        "size_bytes": size_bytes,
        "lock": conda.in_lock(lock) if conda else lock,
        "folders": folders,
    }
    mark_write(workshop.path, mark)
    return mark


def _introduce(workshop: Workshop) -> None:
    if workshop.lock:
        workshop.say("Installing exactly what is locked; nothing is resolved")
    framework = workshop.spec["framework"]
    if framework["pinned_by"] == "user":
        workshop.say(f"TensorFlow as pinned by the run: {', '.join(framework['requirements'])}")
    for sentence in version_remarks(workshop.spec):
        workshop.say(sentence)
    for name in workshop.spec["added"]:
        workshop.say(f"Added by the platform: {name}")
    for sentence in conda_advice(workshop.spec):
        workshop.say(sentence)


def _remove_earlier(workshop: Workshop) -> None:
    """Removes what an earlier build left at this path, sealed or not."""
    if not workshop.path.exists():
        return
    workshop.say("Removing what an earlier build left")
    mark_remove(workshop.path)
    remains_remove(workshop.backend, workshop.path, within_s=REMOVE_WITHIN_S)
