"""From a target in the database to the backend that serves it, and what the form reads of a target."""

from __future__ import annotations

from collections.abc import Callable

from django.db.models import Count, Q

from compute.backends.base import ComputeBackend
from compute.backends.local import LocalBackend
from compute.models import ComputeTarget, Slot, TargetKind

#: One line a kind of target.
BACKENDS: dict[str, Callable[[], ComputeBackend]] = {
    TargetKind.LOCAL: lambda: LocalBackend.from_settings(),
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
    return make()


def target_gpus_per_node(target: ComputeTarget) -> tuple[int, ...]:
    """How many GPUs each node of ``target`` has, one number a node, by node name."""
    nodes = target.nodes.order_by("name").annotate(gpus=Count("slots", filter=Q(slots__kind=Slot.Kind.GPU)))
    return tuple(nodes.values_list("gpus", flat=True))


def target_slots(target: ComputeTarget) -> dict[str, tuple[int, int]]:
    """By kind of slot (``cpu``, ``gpu``): how many are free on open nodes, and how many there are."""
    rows = (
        Slot.objects.filter(node__target=target)
        .values("kind")
        .annotate(
            free=Count("pk", filter=Q(lease__isnull=True, node__is_open=True)),
            total=Count("pk"),
        )
    )
    return {row["kind"]: (row["free"], row["total"]) for row in rows}
