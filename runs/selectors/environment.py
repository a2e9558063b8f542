"""The environment of a run: how far its build is, and what is in it."""

from __future__ import annotations

from dataclasses import dataclass

from compute.backends.base import Ability
from compute.registry import backend_of
from runs.environments import advice_on, python_differs
from runs.environments.difference import Change, difference, lock_versions
from runs.models import Environment, Run
from runs.spec import container_advice
from runs.states import Again, EnvironmentState

#: The steps of a build as a person sees them, each with the builder's phases that it stands for.
_STEPS = (
    ("Resolve", ("resolve", "create")),
    ("Download", ("download",)),
    ("Install", ("install",)),
    ("Compile", ("compile",)),
    ("Seal", ("seal", "ready")),
)
#: The same where Horovod is compiled on the way.
_STEPS_WITH_HOROVOD = (
    ("Resolve", ("resolve",)),
    ("Horovod", ("horovod",)),
    ("Download", ("create", "download")),
    ("Install", ("install",)),
    ("Compile", ("compile",)),
    ("Check", ("check",)),
    ("Seal", ("seal", "ready")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One installed package; ``version`` is its address where it came from one."""

    name: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What differs between the packages of a run and those of the one ``before`` it; ``python`` says in a sentence that
    the Python is another, and is empty otherwise."""

    before: Run
    changes: list[Change]
    python: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a build; ``state`` is ``done``, ``now`` or ``next``."""

    label: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildProgress:
    """How far a build is. ``done_bytes`` and ``total_bytes`` are 0 where nothing is being downloaded."""

    steps: tuple[Step, ...]
    words: str
    percent: int
    done_bytes: int
    total_bytes: int


def packages_of(run: Run) -> list[Package]:
    """The packages as they were installed for ``run``, by name; empty before the environment is ready."""
    return lock_listed(run.lock or (run.environment.lock if run.environment else ""))


def lock_listed(lock: str) -> list[Package]:
    """The packages of a lock, in its order."""
    return [Package(name=name, version=version) for name, version in lock_versions(lock).items()]


def update_of(run: Run) -> Update | None:
    """What running again with updated packages changed; None before the packages are there, and for every other run."""
    if run.again != Again.UPDATED or run.cloned_from is None or not run.lock or not run.cloned_from.lock:
        return None
    now, then = run.environment_spec or {}, run.cloned_from.environment_spec or {}
    return Update(
        before=run.cloned_from, changes=difference(run.cloned_from.lock, run.lock), python=python_differs(now, then)
    )


def advice_of(run: Run) -> list[str]:
    """What is worth knowing of the run's packages, as sentences; empty before it has an environment."""
    canonical = run.environment.spec if run.environment else run.environment_spec
    if canonical is None:
        return []
    spec, lock = run.effective_spec, run.lock or (run.environment.lock if run.environment else "")
    has_containers = Ability.CONTAINERS in backend_of(run.target).abilities
    return [
        *advice_on(canonical, lock=lock, legacy_keras=spec.legacy_keras, names_version=bool(spec.framework_version)),
        *container_advice(spec, has_containers=has_containers),
    ]


def build_progress(run: Run) -> BuildProgress | None:
    """How far the build of the run's environment is; None when it has no environment yet."""
    return None if run.environment is None else environment_progress(run.environment)


def environment_progress(environment: Environment) -> BuildProgress:
    """How far the build of ``environment`` is."""
    told = environment.progress
    phase = "ready" if environment.state == EnvironmentState.READY else told.get("phase", "")
    named = _STEPS_WITH_HOROVOD if "horovod" in environment.spec else _STEPS
    now = next((place for place, (_, phases) in enumerate(named) if phase in phases), -1)
    steps = tuple(
        Step(label=label, state="done" if place < now or phase == "ready" else "now" if place == now else "next")
        for place, (label, _) in enumerate(named)
    )
    is_download = phase == "download"
    return BuildProgress(
        steps=steps,
        words=told.get("label") or "Waiting for the builder",
        percent=int(told.get("percent") or 0),
        done_bytes=int(told.get("done") or 0) if is_download else 0,
        total_bytes=int(told.get("total") or 0) if is_download else 0,
    )
