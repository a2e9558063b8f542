"""Whether a target could ever hold the tasks of a run, however free it were."""

from __future__ import annotations

from compute.placement import place
from compute.plan import Inventory, NoCapacity, NodeFact, SlotKind
from runs.distribution.base import Distribution
from runs.spec import Problem, RunSpec


def room_problems(spec: RunSpec, distribution: Distribution, inventory: Inventory) -> list[Problem]:
    """The one thing for which ``inventory`` is too small, with the field to change; empty when the run can be placed
    once enough is free. For a spec whose counts have no problems of their own."""
    nodes = len(inventory.nodes)
    if spec.node_count > nodes > 0:
        has = "1 node" if nodes == 1 else f"{nodes} nodes"
        message = (
            f"node_count is {spec.node_count}; target {inventory.target} has {has}. Lower node_count or choose another "
            "target."
        )
        return [Problem(field="node_count", message=message)]
    # Said before the tasks are counted out: there may be very many.
    kind = SlotKind.GPU if spec.use_gpu else SlotKind.CPU
    most = max((_count(node, kind) for node in inventory.nodes), default=0)
    field = _field(spec)
    if 0 < most < _least_a_node(spec):
        word = "GPUs" if kind is SlotKind.GPU else "CPU slots"
        message = (
            f"This run asks for {_least_a_node(spec):,} {word} a node; no node of target {inventory.target} has more "
            f"than {most}. {_way_out(spec, field, most=most, nodes=nodes)} or choose another target."
        )
        return [Problem(field=field, message=message)]
    outcome = place(distribution.request(spec), inventory)
    if isinstance(outcome, NoCapacity) and outcome.never:
        return [Problem(field=field, message=reason) for reason in outcome.reasons]
    return []


def _way_out(spec: RunSpec, field: str, *, most: int, nodes: int) -> str:
    """What to change when a node of ``nodes`` holds ``most`` training processes at best."""
    needed = -(-spec.worker_count // most)
    if field == "worker_count" and needed <= nodes:
        return f"Lower {field}, raise node_count to {needed}"
    return f"Lower {field}"


def _least_a_node(spec: RunSpec) -> int:
    """So many training processes are on the fullest node."""
    if spec.distribution == "mpi":
        return spec.process_count_per_node
    if spec.distribution in ("ps", "multiworker"):
        return -(-spec.worker_count // spec.node_count)
    return 1


def _field(spec: RunSpec) -> str:
    if spec.distribution == "mpi":
        return "process_count_per_node"
    if spec.distribution in ("ps", "multiworker"):
        return "worker_count"
    return "use_gpu" if spec.use_gpu else "compute_target"


def _count(node: NodeFact, kind: SlotKind) -> int:
    return sum(slot.kind is kind for slot in node.slots)
