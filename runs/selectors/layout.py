"""Which task of a run would land on which node, and what TF_CONFIG would say: for the form."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace

from compute.leases import inventory_of
from compute.models import ComputeTarget
from compute.placement import place
from compute.plan import Assignment, Inventory, NoCapacity, NodeFact
from runs.distribution import Role, distribution_of
from runs.distribution.room import room_problems
from runs.spec import RunSpec

#: More tasks than this are counted, not drawn.
MOST_DRAWN = 64
_PORT = "port"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One task's place: its name, the slot it takes in words, and what it does there."""

    name: str
    slot: str
    does: str
    trains: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """By node name the seats on it, and how many tasks more there are. ``tf_config`` is what the first task that gets
    one will see, ports aside."""

    nodes: dict[str, list[Seat]]
    more: int
    tf_config: str = ""


def layout_of(spec: RunSpec, target: ComputeTarget) -> Layout | None:
    """The layout on ``target`` if it were free, for a spec whose counts have no problems; None for one process, and for
    a run that does not fit at all."""
    distribution = distribution_of(spec)
    inventory = _free(inventory_of(target))
    if distribution is None or spec.distribution == "single" or room_problems(spec, distribution, inventory):
        return None
    placement = place(distribution.request(spec), inventory)
    if isinstance(placement, NoCapacity):
        return None
    places = {assignment.task: assignment for assignment in placement.assignments}
    roles = distribution.roles(spec)
    nodes: dict[str, list[Seat]] = defaultdict(list)
    for role in roles[:MOST_DRAWN]:
        nodes[places[role.key].node].append(_seat(role, places[role.key], spec))
    return Layout(
        nodes=dict(sorted(nodes.items())), more=max(0, len(roles) - MOST_DRAWN), tf_config=_tf_config(roles, places)
    )


def _free(inventory: Inventory) -> Inventory:
    nodes = (
        NodeFact(
            id=node.id,
            name=node.name,
            address=node.address,
            slots=tuple(replace(slot, busy_with=None) for slot in node.slots),
        )
        for node in inventory.nodes
    )
    return Inventory(target=inventory.target, nodes=tuple(nodes))


def _seat(role: Role, place_of: Assignment, spec: RunSpec) -> Seat:
    if not place_of.slot_ids:
        slot = "no slot"
    elif place_of.simulated:
        slot = "simulated GPU"
    elif place_of.gpu_indexes:
        slot = f"GPU {place_of.gpu_indexes[0]}"
    else:
        slot = "CPU slot"
    script = spec.entry_script if role.runs_script else "TensorFlow's server"
    does = "mpirun" if role.launches else script
    return Seat(name=f"{role.name} {role.index}", slot=slot, does=does, trains=role.takes_slot)


def _tf_config(roles: tuple[Role, ...], places: dict[str, Assignment]) -> str:
    cluster: dict[str, list[str]] = defaultdict(list)
    for role in roles[:MOST_DRAWN]:
        if role.listens:
            cluster[role.name].append(f"{places[role.key].address}:{_PORT}")
    if not cluster:
        return ""
    first = next(role for role in roles if role.listens)
    told = {"cluster": cluster, "task": {"type": first.name, "index": first.index}, "environment": "cloud"}
    return json.dumps(told, indent=1)
