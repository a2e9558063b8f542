"""What a target has free at this moment, for the form of a new run."""

from __future__ import annotations

from dataclasses import dataclass

from compute.leases import inventory_of
from compute.models import ComputeTarget
from compute.placement import place
from compute.plan import NoCapacity, SlotKind
from compute.registry import target_slots
from runs.distribution import distribution_of
from runs.spec import RunSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """Whether a run would start now. ``slots`` has, by kind, a sentence on what is free."""

    target: ComputeTarget
    asks: str
    slots: tuple[str, ...]
    verdict: str
    starts_now: bool
    gpus: int


def preflight(target: ComputeTarget, spec: RunSpec) -> Preflight:
    """Looks for a place for ``spec`` on ``target`` without taking it."""
    slots = target_slots(target)
    distribution = distribution_of(spec)
    outcome = (
        NoCapacity(reasons=(), never=True)
        if distribution is None
        else place(distribution.request(spec), inventory_of(target))
    )
    if not target.is_open:
        verdict = "takes no new runs at present"
    elif not isinstance(outcome, NoCapacity):
        verdict = "can start at once"
    elif outcome.never:
        verdict = "can never start here"
    else:
        verdict = "will wait until it is free"
    return Preflight(
        target=target,
        asks="1 GPU" if spec.use_gpu else "1 CPU slot",
        slots=tuple(_free(kind, *slots[kind]) for kind in (SlotKind.CPU, SlotKind.GPU) if kind in slots),
        verdict=verdict,
        starts_now=target.is_open and not isinstance(outcome, NoCapacity),
        gpus=slots.get(SlotKind.GPU, (0, 0))[1],
    )


def _free(kind: SlotKind, free: int, total: int) -> str:
    word = "GPU" if kind is SlotKind.GPU else "CPU slot"
    return f"{free} of {total} {word}{'' if total == 1 else 's'} free"
