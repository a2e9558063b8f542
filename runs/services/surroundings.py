"""What a submission is checked against, read from the database."""

from __future__ import annotations

import dataclasses

from compute.models import ComputeTarget
from compute.registry import backend_of, target_gpus_per_node
from runs.environments.requirements import Read
from runs.models import Snapshot
from runs.snapshots import snapshot_reader
from runs.spec import RunSpec, TargetFacts, path_inside


def target_facts(target: ComputeTarget) -> TargetFacts:
    """What a spec has to know of ``target``."""
    return TargetFacts(
        name=target.name,
        abilities=frozenset(ability.value for ability in backend_of(target).abilities),
        gpus_per_node=target_gpus_per_node(target),
        is_open=target.is_open,
    )


def readable(spec: RunSpec, snapshot: Snapshot | None) -> tuple[RunSpec, Read | None]:
    """``spec`` with those files of packages alone that the snapshot has, and what reads them. That one is not there is
    said elsewhere."""
    if snapshot is None:
        return spec, None
    there = dataclasses.replace(
        spec,
        pip_requirements_file=_if_in(snapshot, spec.pip_requirements_file),
        conda_dependencies_file=_if_in(snapshot, spec.conda_dependencies_file),
    )
    return there, snapshot_reader(snapshot)


def _if_in(snapshot: Snapshot, named: str) -> str:
    path = path_inside(named)
    return named if path is not None and snapshot.files.filter(path=path).exists() else ""
