"""Horovod in a submission: what stands in its way on the chosen target, and what to expect."""

from __future__ import annotations

from compute.models import ComputeTarget
from compute.registry import backend_of
from runs.environments import horovod_expectations, horovod_problems
from runs.environments.definitions import effective
from runs.environments.requirements import Read
from runs.models import Snapshot
from runs.services.surroundings import readable
from runs.spec import Definition, Problem, RunSpec


def horovod_problems_at(
    target: ComputeTarget, spec: RunSpec, *, snapshot: Snapshot | None, definition: Definition | None
) -> list[Problem]:
    """Why this submission can have no Horovod on ``target``; empty when it wants none. Looks at the machine."""
    return horovod_problems(*_meant(spec, snapshot, definition), backend_of(target))


def horovod_advice_at(
    target: ComputeTarget, spec: RunSpec, *, snapshot: Snapshot | None, definition: Definition | None
) -> list[str]:
    """What to expect of Horovod on ``target``, as sentences; empty where there is a problem."""
    return horovod_expectations(*_meant(spec, snapshot, definition), backend_of(target))


def _meant(spec: RunSpec, snapshot: Snapshot | None, definition: Definition | None) -> tuple[RunSpec, Read | None]:
    there, read = readable(spec, snapshot)
    return effective(there, definition, read)
