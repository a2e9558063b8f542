"""Who holds which slot: read as an inventory, taken all at once, given back by holder."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models import Prefetch

from compute.errors import LeaseLost
from compute.models import ComputeTarget, Lease, Node, NodeState, Presence, Slot
from compute.plan import Inventory, NodeFact, Placement, SlotFact, SlotKind


def inventory_of(target: ComputeTarget) -> Inventory:
    """What ``target`` has at this moment, with who holds it, in words; what is leaving it is left out. Two queries,
    whatever its size."""
    staying = Slot.objects.filter(is_leaving=False).select_related("lease")
    nodes = Node.objects.filter(target=target).exclude(state=NodeState.LEAVING).order_by("name")
    return Inventory(
        target=target.name,
        nodes=tuple(
            NodeFact(
                id=node.pk,
                name=node.name,
                slots=tuple(_slot_fact(slot) for slot in node.slots.all()),
                closed=_node_closed(node),
                address=node.address,
            )
            for node in nodes.prefetch_related(Prefetch("slots", queryset=staying))
        ),
        closed=None if target.is_open else "an administrator has closed it for new runs",
    )


def leases_take(placement: Placement, *, holder: str, label: str) -> int:
    """Takes every slot of ``placement`` for ``holder`` in one transaction, and returns how many there are. Its nodes
    stay from now on, those on which it has no slot too.

    Idempotent: slots that ``holder`` has already stay its own. Raises LeaseLost when another holder was first; then
    nothing is taken. ``label`` is what others read while they wait (``digits #3``).
    """
    wanted = [slot_id for assignment in placement.assignments for slot_id in assignment.slot_ids]
    try:
        with transaction.atomic():
            holders = dict(
                Lease.objects.select_for_update().filter(slot_id__in=wanted).values_list("slot_id", "holder")
            )
            lost = [slot_id for slot_id, other in holders.items() if other != holder]
            if lost:
                raise LeaseLost(f"{len(lost)} of {len(wanted)} slots were taken first. Place again.")
            if Slot.objects.filter(pk__in=wanted, is_leaving=True).exclude(pk__in=holders).exists():
                raise LeaseLost("A slot is no longer part of its node. Place again.")
            Lease.objects.bulk_create(
                Lease(slot_id=slot_id, holder=holder, label=label[:200]) for slot_id in wanted if slot_id not in holders
            )
            _presences_note(placement, holder)
    except IntegrityError as error:
        raise LeaseLost("A slot was taken, or is gone, in the meantime. Place again.") from error
    return len(wanted)


def leases_free(holder: str) -> int:
    """Gives back everything that ``holder`` has, and returns how many slots that were. Idempotent.

    Slots and nodes that waited for it to leave are gone then.
    """
    freed = Lease.objects.filter(holder=holder).delete()[0]
    if Presence.objects.filter(holder=holder).delete()[0]:
        leaving_remove()
    return freed


def leaving_remove() -> None:
    """Removes what is leaving and needed by nobody: slots, and nodes on which nobody is any more. Idempotent."""
    Slot.objects.filter(is_leaving=True, lease__isnull=True).delete()
    Node.objects.filter(state=NodeState.LEAVING, slots__isnull=True, presences__isnull=True).delete()


def _presences_note(placement: Placement, holder: str) -> None:
    """Raises LeaseLost when a node is gone, or leaving, and ``holder`` is not on it yet."""
    wanted = {assignment.node_id for assignment in placement.assignments}
    wanted -= set(Presence.objects.filter(holder=holder, node_id__in=wanted).values_list("node_id", flat=True))
    staying = Node.objects.filter(pk__in=wanted).exclude(state=NodeState.LEAVING)
    if staying.count() < len(wanted):
        raise LeaseLost("A node is no longer part of its target. Place again.")
    Presence.objects.bulk_create(Presence(node=node, holder=holder) for node in staying)


def _slot_fact(slot: Slot) -> SlotFact:
    lease = getattr(slot, "lease", None)
    busy_with = None if lease is None else lease.label or "another holder"
    return SlotFact(
        id=slot.pk, kind=SlotKind(slot.kind), index=slot.index, busy_with=busy_with, simulated=slot.is_simulated
    )


def _node_closed(node: Node) -> str | None:
    if not node.is_open:
        return "an administrator has closed it for new tasks"
    if node.state == NodeState.UNREACHABLE:
        return f"it does not answer ({node.state_reason.rstrip('.') or 'no reason given'})"
    return None
