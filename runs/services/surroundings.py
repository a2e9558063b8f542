"""What a submission is checked against, read from the database."""

from __future__ import annotations

from compute.models import ComputeTarget
from compute.registry import backend_of, target_gpus_per_node
from runs.spec import TargetFacts


def target_facts(target: ComputeTarget) -> TargetFacts:
    """What a spec has to know of ``target``."""
    return TargetFacts(
        name=target.name,
        abilities=frozenset(ability.value for ability in backend_of(target).abilities),
        gpus_per_node=target_gpus_per_node(target),
        is_open=target.is_open,
    )
