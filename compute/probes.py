"""What machines have, found out and written down as nodes and slots."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from compute.errors import TargetUnreachable
from compute.models import ComputeTarget, Node, NodeState, Slot, TargetKind
from compute.registry import backend_of

LOCAL_NAME = "local"


def local_target_ensure() -> ComputeTarget:
    """The target of this machine, made with its facts when it is missing, and looked at anew. Idempotent.

    An administrator's changes (closed, renamed description) stay. Called at every start of the platform.
    """
    target, _ = ComputeTarget.objects.get_or_create(
        name=LOCAL_NAME, defaults={"kind": TargetKind.LOCAL, "description": "The machine that Trainhouse runs on"}
    )
    target_refresh(target)
    return target


def target_refresh(target: ComputeTarget) -> list[Node]:
    """Asks the target what it has, and brings its nodes and slots up to date. Idempotent; blocks for seconds.

    A slot that is gone from the machine is removed unless somebody holds it. A target that does not answer keeps its
    nodes, marked unreachable; then TargetUnreachable is raised.
    """
    try:
        facts = backend_of(target).probe()
    except TargetUnreachable as error:
        Node.objects.filter(target=target).update(state=NodeState.UNREACHABLE, state_reason=str(error)[:300])
        raise
    with transaction.atomic():
        return [_node_sync(target, node_facts) for node_facts in facts]


def _node_sync(target: ComputeTarget, facts: dict[str, Any]) -> Node:
    node, _ = Node.objects.get_or_create(target=target, name=facts["name"])
    changed = {
        "address": facts["address"],
        "cpu_cores": facts["cpu_cores"],
        "memory_mb": facts["memory_mb"],
        "facts": facts,
        "state": NodeState.HEALTHY,
        "state_reason": "",
        "last_seen_at": timezone.now(),
    }
    audited = {"address", "cpu_cores", "memory_mb", "state", "state_reason"}
    if all(getattr(node, name) == changed[name] for name in audited):
        # No line in the node's history for a look that found nothing new.
        Node.objects.filter(pk=node.pk).update(facts=facts, last_seen_at=changed["last_seen_at"])
    else:
        for name, value in changed.items():
            setattr(node, name, value)
        node.save(update_fields=list(changed))
    _slots_sync(node, _slots_of(facts))
    return node


def _slots_of(facts: dict[str, Any]) -> dict[tuple[str, int], dict[str, Any]]:
    slots: dict[tuple[str, int], dict[str, Any]] = {
        (Slot.Kind.GPU.value, gpu["index"]): {key: gpu[key] for key in ("uuid", "model", "memory_mb")}
        for gpu in facts["gpus"]
    }
    cpu_slots = settings.ENV.local_cpu_slots or max(1, facts["cpu_cores"] // 2)
    for index in range(cpu_slots):
        slots[Slot.Kind.CPU.value, index] = {"memory_mb": facts["memory_mb"] // cpu_slots}
    return slots


def _slots_sync(node: Node, wanted: dict[tuple[str, int], dict[str, Any]]) -> None:
    present = {(slot.kind, slot.index): slot for slot in node.slots.select_related("lease")}
    for (kind, index), values in wanted.items():
        slot = present.get((kind, index))
        if slot is None:
            Slot.objects.create(node=node, kind=kind, index=index, **values)
        elif any(getattr(slot, name) != value for name, value in values.items()):
            Slot.objects.filter(pk=slot.pk).update(**values)
    gone = [slot.pk for place, slot in present.items() if place not in wanted]
    Slot.objects.filter(pk__in=gone, lease__isnull=True).delete()
