"""From a target in the database to the backend that serves it, and what the form reads of a target."""

from __future__ import annotations

from collections.abc import Callable

from django.db.models import Count, Q, QuerySet

from compute.backends.base import ComputeBackend
from compute.backends.local import LocalBackend
from compute.models import ComputeTarget, NodeState, Slot, TargetKind

#: One line a kind of target.
BACKENDS: dict[str, Callable[[ComputeTarget], ComputeBackend]] = {
    TargetKind.LOCAL: lambda target: LocalBackend.from_settings(target.config),
}


def backend_of(target: ComputeTarget) -> ComputeBackend:
    """The backend that serves ``target``. Raises LookupError for a kind that this version does not know."""
    try:
        make = BACKENDS[target.kind]
    except KeyError as error:
        raise LookupError(
            f"Target {target.name} is of kind {target.kind!r}, which this version does not know. "
            f"Known: {', '.join(BACKENDS)}."
        ) from error
    return make(target)


def target_gpus_per_node(target: ComputeTarget) -> tuple[int, ...]:
    """How many GPUs each node of ``target`` has, one number a node, by node name."""
    counted = Q(slots__kind=Slot.Kind.GPU, slots__is_leaving=False)
    nodes = target.nodes.exclude(state=NodeState.LEAVING).order_by("name")
    return tuple(nodes.annotate(gpus=Count("slots", filter=counted)).values_list("gpus", flat=True))


def target_gpus_are_simulated(target: ComputeTarget) -> bool:
    """Whether ``target`` has GPU slots and no GPU: what runs there with ``use_gpu`` trains on the CPU."""
    simulated = _slots(target).filter(kind=Slot.Kind.GPU).values_list("is_simulated", flat=True)
    return bool(simulated) and all(simulated)


def target_slots(target: ComputeTarget) -> dict[str, tuple[int, int]]:
    """By kind of slot (``cpu``, ``gpu``): how many are free on open nodes, and how many there are."""
    rows = (
        _slots(target)
        .values("kind")
        .annotate(
            free=Count("pk", filter=Q(lease__isnull=True, node__is_open=True)),
            total=Count("pk"),
        )
    )
    return {row["kind"]: (row["free"], row["total"]) for row in rows}


def _slots(target: ComputeTarget) -> QuerySet[Slot]:
    return Slot.objects.filter(node__target=target, is_leaving=False).order_by()
