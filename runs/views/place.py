"""What a target has free at this moment, for the form of a new run."""

from __future__ import annotations

from dataclasses import dataclass

from compute.leases import inventory_of
from compute.models import ComputeTarget, TargetKind
from compute.placement import place, request_words
from compute.plan import NoCapacity, SlotKind
from compute.registry import target_gpus_are_simulated, target_slots
from runs.distribution import distribution_of
from runs.distribution.room import room_problems
from runs.forms.distribution import in_form_words
from runs.spec import RunSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """Whether a run would start now. ``slots`` has, by kind, a sentence on what is free; ``answer`` is for the run as
    it stands, with a word on simulated GPUs where it would hold some. ``never`` says why the target could never hold
    the tasks of a distributed run; ``wants_nodes``: it could, were the machine shown as more nodes."""

    target: ComputeTarget
    answer: str
    slots: tuple[str, ...]
    starts_now: bool
    fits: bool
    never: str
    wants_nodes: bool
    gpus: int
    trains_on_cpu: bool


def preflight(target: ComputeTarget, spec: RunSpec) -> Preflight:
    """Looks for a place for ``spec``, whose counts have no problems of their own, on ``target`` without taking it."""
    slots = target_slots(target)
    simulated = target_gpus_are_simulated(target)
    answer, starts_now, fits = _answer(target, spec, simulated=simulated)
    return Preflight(
        target=target,
        answer=answer,
        slots=tuple(
            _free(kind, *slots[kind], simulated=simulated) for kind in (SlotKind.CPU, SlotKind.GPU) if kind in slots
        ),
        starts_now=starts_now,
        fits=fits,
        never="" if fits or spec.distribution == "single" else answer,
        wants_nodes=not fits and _wants_nodes(target, spec),
        gpus=slots.get(SlotKind.GPU, (0, 0))[1],
        trains_on_cpu=spec.use_gpu and simulated,
    )


def _answer(target: ComputeTarget, spec: RunSpec, *, simulated: bool) -> tuple[str, bool, bool]:
    """What becomes of ``spec`` on ``target`` as a sentence, whether it can start at once, and whether it ever can."""
    distribution = distribution_of(spec)
    if distribution is None:
        return f"{target.name} can never run {spec.distribution}.", False, False
    inventory = inventory_of(target)
    for problem in room_problems(spec, distribution, inventory):
        return in_form_words(problem.message), False, False
    request = distribution.request(spec)
    has_room = not isinstance(place(request, inventory), NoCapacity)
    if not target.is_open:
        verdict = "takes no new runs at present"
    else:
        verdict = "can start at once" if has_room else "will wait until it is free"
    words = request_words(request, simulated=simulated)
    return f"Asks for {words} of {target.name}: {verdict}.", has_room and target.is_open, True


def _wants_nodes(target: ComputeTarget, spec: RunSpec) -> bool:
    """Whether there are more training processes than nodes, each of which has a CPU slot at least."""
    processes = spec.worker_count if spec.distribution != "mpi" else spec.node_count * spec.process_count_per_node
    is_local = target.kind == TargetKind.LOCAL and not spec.use_gpu and spec.distribution != "single"
    return is_local and len(inventory_of(target).nodes) < processes


def _free(kind: SlotKind, free: int, total: int, *, simulated: bool) -> str:
    word = "CPU slot" if kind is SlotKind.CPU else "simulated GPU" if simulated else "GPU"
    return f"{free} of {total} {word}{'' if total == 1 else 's'} free"
