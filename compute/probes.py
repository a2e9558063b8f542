"""What machines have, found out and written down as nodes and slots."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from compute.backends.local.layout import NAME as LOCAL_NAME
from compute.errors import TargetUnreachable
from compute.leases import leaving_remove
from compute.models import ComputeTarget, Node, NodeState, Slot, TargetKind
from compute.registry import backend_of


def local_target_ensure() -> ComputeTarget:
    """The target of this machine, made with its facts when it is missing, and looked at anew. Idempotent.

    The settings say how many nodes it has and which GPUs are simulated when it is made. From then on an
    administrator's word counts, as for everything else (closed, described otherwise). Called at every start of the
    platform. Raises TargetMisconfigured.
    """
    target, _ = ComputeTarget.objects.get_or_create(
        name=LOCAL_NAME,
        defaults={
            "kind": TargetKind.LOCAL,
            "description": "The machine that Trainhouse runs on",
            "config": {
                "virtual_nodes": settings.ENV.local_nodes,
                "simulated_gpus": settings.ENV.local_simulated_gpus,
            },
        },
    )
    target_refresh(target)
    return target


def target_refresh(target: ComputeTarget) -> list[Node]:
    """Asks the target what it has, and brings its nodes and slots up to date. Idempotent; blocks for seconds.

    A node or slot that is gone is removed, or leaves as soon as nobody holds it. A target that does not answer keeps
    its nodes, marked unreachable; then TargetUnreachable is raised. One whose configuration cannot be used keeps its
    nodes as they are (TargetMisconfigured).
    """
    try:
        facts = backend_of(target).probe()
    except TargetUnreachable as error:
        staying = Node.objects.filter(target=target).exclude(state=NodeState.LEAVING)
        staying.update(state=NodeState.UNREACHABLE, state_reason=str(error)[:300])
        raise
    with transaction.atomic():
        names = [node_facts["name"] for node_facts in facts]
        nodes = [_node_sync(_node_known(target, node_facts, names), node_facts) for node_facts in facts]
        for node in Node.objects.filter(target=target).exclude(pk__in=[node.pk for node in nodes]):
            _node_leave(node)
        leaving_remove()
    return nodes


def _node_known(target: ComputeTarget, facts: dict[str, Any], names: list[str]) -> Node:
    """The node that these facts are of: by its name, by the one it had before, or a new one."""
    nodes = Node.objects.filter(target=target)
    known = nodes.filter(name=facts["name"]).first()
    if known is None and "formerly" in facts:
        known = nodes.filter(name=facts["formerly"]).exclude(name__in=names).first()
    return known or Node.objects.create(target=target, name=facts["name"])


def _node_sync(node: Node, facts: dict[str, Any]) -> Node:
    changed = {
        "name": facts["name"],
        "address": facts["address"],
        "cpu_cores": facts["cpu_cores"],
        "memory_mb": facts["memory_mb"],
        "facts": facts,
        "state": NodeState.HEALTHY,
        "state_reason": "",
        "last_seen_at": timezone.now(),
    }
    audited = {"name", "address", "cpu_cores", "memory_mb", "state", "state_reason"}
    if all(getattr(node, name) == changed[name] for name in audited):
        # No line in the node's history for a look that found nothing new.
        Node.objects.filter(pk=node.pk).update(facts=facts, last_seen_at=changed["last_seen_at"])
    else:
        for name, value in changed.items():
            setattr(node, name, value)
        node.save(update_fields=list(changed))
    _slots_sync(node, _slots_of(facts))
    return node


def _node_leave(node: Node) -> None:
    if node.state != NodeState.LEAVING:
        node.state, node.state_reason = NodeState.LEAVING, "It is no longer part of its target."
        node.save(update_fields=["state", "state_reason"])
    node.slots.update(is_leaving=True)


def _slots_of(facts: dict[str, Any]) -> dict[tuple[str, int], dict[str, Any]]:
    slots: dict[tuple[str, int], dict[str, Any]] = {
        (Slot.Kind.GPU.value, gpu["index"]): {
            **{key: gpu[key] for key in ("uuid", "model", "memory_mb")},
            "is_simulated": gpu.get("simulated", False),
            "is_leaving": False,
        }
        for gpu in facts["gpus"]
    }
    for index in range(facts["cpu_slots"]):
        memory_mb = facts["memory_mb"] // facts["cpu_slots"]
        slots[Slot.Kind.CPU.value, index] = {"memory_mb": memory_mb, "is_leaving": False}
    return slots


def _slots_sync(node: Node, wanted: dict[tuple[str, int], dict[str, Any]]) -> None:
    present = {(slot.kind, slot.index): slot for slot in node.slots.all()}
    for (kind, index), values in wanted.items():
        slot = present.get((kind, index))
        if slot is None:
            Slot.objects.create(node=node, kind=kind, index=index, **values)
        elif any(getattr(slot, name) != value for name, value in values.items()):
            Slot.objects.filter(pk=slot.pk).update(**values)
    gone = [slot.pk for place, slot in present.items() if place not in wanted]
    Slot.objects.filter(pk__in=gone).update(is_leaving=True)
