"""What a target has free at this moment, for the form of a new run."""

from __future__ import annotations

from dataclasses import dataclass

from compute.leases import inventory_of
from compute.models import ComputeTarget
from compute.placement import place, request_words
from compute.plan import NoCapacity, SlotKind
from compute.registry import target_gpus_are_simulated, target_slots
from runs.distribution import distribution_of
from runs.distribution.room import room_problems
from runs.spec import RunSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """Whether a run would start now. ``slots`` has, by kind, a sentence on what is free; ``answer`` is for the run as
    it stands, with a word on simulated GPUs where it would hold some."""

    target: ComputeTarget
    answer: str
    slots: tuple[str, ...]
    starts_now: bool
    gpus: int
    trains_on_cpu: bool


def preflight(target: ComputeTarget, spec: RunSpec) -> Preflight:
    """Looks for a place for ``spec``, whose counts have no problems of their own, on ``target`` without taking it."""
    slots = target_slots(target)
    simulated = target_gpus_are_simulated(target)
    answer, starts_now = _answer(target, spec, simulated=simulated)
    return Preflight(
        target=target,
        answer=answer,
        slots=tuple(
            _free(kind, *slots[kind], simulated=simulated) for kind in (SlotKind.CPU, SlotKind.GPU) if kind in slots
        ),
        starts_now=starts_now,
        gpus=slots.get(SlotKind.GPU, (0, 0))[1],
        trains_on_cpu=spec.use_gpu and simulated,
    )


def _answer(target: ComputeTarget, spec: RunSpec, *, simulated: bool) -> tuple[str, bool]:
    """What becomes of ``spec`` on ``target`` as a sentence, and whether it can start at once."""
    distribution = distribution_of(spec)
    if distribution is None:
        return f"{target.name} can never run {spec.distribution}.", False
    inventory = inventory_of(target)
    for problem in room_problems(spec, distribution, inventory):
        return problem.message, False
    request = distribution.request(spec)
    has_room = not isinstance(place(request, inventory), NoCapacity)
    if not target.is_open:
        verdict = "takes no new runs at present"
    else:
        verdict = "can start at once" if has_room else "will wait until it is free"
    words = request_words(request, simulated=simulated)
    return f"Asks for {words} of {target.name}: {verdict}.", has_room and target.is_open


def _free(kind: SlotKind, free: int, total: int, *, simulated: bool) -> str:
    word = "CPU slot" if kind is SlotKind.CPU else "simulated GPU" if simulated else "GPU"
    return f"{free} of {total} {word}{'' if total == 1 else 's'} free"
