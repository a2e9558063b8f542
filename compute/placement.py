"""Where the tasks of a run go: a pure function from a request and an inventory to a placement or the reasons why not.

Gang: every task gets its place or none does. The tasks that take slots, in the order of the request, are cut into
``node_count`` consecutive groups of nearly equal size; those that take none (servers, a coordinator) join the smallest
groups. Every group goes to a node of its own. Which group goes where is a matching, so a place is found whenever one
exists; among several, nodes with the fewest free slots are filled first, so that large nodes stay free for large
wishes.
"""

from __future__ import annotations

from collections.abc import Sequence

from compute.plan import (
    Assignment,
    Inventory,
    NoCapacity,
    NodeFact,
    Placement,
    ResourceRequest,
    SlotFact,
    SlotKind,
    TaskRequest,
)

#: So many nodes are listed by name where all of them are meant.
MOST_LISTED = 4


def place(request: ResourceRequest, inventory: Inventory) -> Placement | NoCapacity:
    """A place for every task of ``request``, or why there is none now.

    ``NoCapacity.never`` is true when the request would not fit even with every slot free and every node open.
    """
    groups = _groups(request)
    if _match(groups, [_capacity(node, free_only=False) for node in inventory.nodes]) is None:
        return NoCapacity(reasons=_never_reasons(groups, inventory), never=True)
    if inventory.closed is not None:
        return NoCapacity(reasons=(f"{inventory.target}: {inventory.closed}.",))
    open_nodes = sorted((node for node in inventory.nodes if node.closed is None), key=_freedom)
    matching = _match(groups, [_capacity(node, free_only=True) for node in open_nodes])
    if matching is None:
        return NoCapacity(reasons=_busy_reasons(groups, inventory))
    assignments: dict[str, Assignment] = {}
    for group, node in zip(groups, (open_nodes[index] for index in matching), strict=True):
        assignments.update(_assign(group, node))
    return Placement(assignments=tuple(assignments[task.key] for task in request.tasks))


def request_words(request: ResourceRequest, *, simulated: bool = False) -> str:
    """What ``request`` asks for: ``1 GPU``, ``2 CPU slots on each of 2 nodes``, ``3 GPUs over 2 nodes``. ``simulated``
    says what GPUs would be there."""
    needs = [_need(group) for group in _groups(request)]
    if len(set(needs)) == 1:
        each = f" on each of {len(needs)} nodes" if len(needs) > 1 else ""
        return _wish(needs[0], simulated=simulated) + each
    total = (sum(need[0] for need in needs), sum(need[1] for need in needs))
    return f"{_wish(total, simulated=simulated)} over {len(needs)} nodes"


Need = tuple[int, int]  # GPU slots, CPU slots


def _groups(request: ResourceRequest) -> list[tuple[TaskRequest, ...]]:
    count = max(1, min(request.node_count, len(request.tasks)))
    takers = [task for task in request.tasks if task.gpus or task.cpu_slots]
    size, larger = divmod(len(takers), count)
    groups: list[list[TaskRequest]] = []
    start = 0
    for index in range(count):
        end = start + size + (1 if index < larger else 0)
        groups.append(takers[start:end])
        start = end
    for task in request.tasks:
        if not task.gpus and not task.cpu_slots:
            min(groups, key=len).append(task)
    return [tuple(group) for group in groups]


def _need(group: Sequence[TaskRequest]) -> Need:
    return sum(task.gpus for task in group), sum(task.cpu_slots for task in group)


def _slots(node: NodeFact, kind: SlotKind, *, free_only: bool) -> list[SlotFact]:
    slots = [slot for slot in node.slots if slot.kind is kind and not (free_only and slot.busy_with is not None)]
    return sorted(slots, key=lambda slot: slot.index)


def _capacity(node: NodeFact, *, free_only: bool) -> Need:
    return (
        len(_slots(node, SlotKind.GPU, free_only=free_only)),
        len(_slots(node, SlotKind.CPU, free_only=free_only)),
    )


def _freedom(node: NodeFact) -> tuple[int, int, str]:
    gpus, cpus = _capacity(node, free_only=True)
    return gpus, cpus, node.name


def _fits(need: Need, capacity: Need) -> bool:
    return need[0] <= capacity[0] and need[1] <= capacity[1]


def _match(groups: Sequence[Sequence[TaskRequest]], capacities: Sequence[Need]) -> list[int] | None:
    """For every group the index of a node of its own with room for it, or None. Augmenting paths (Kuhn)."""
    taken_by: dict[int, int] = {}

    def settle(group: int, tried: set[int]) -> bool:
        need = _need(groups[group])
        for node, capacity in enumerate(capacities):
            if node in tried or not _fits(need, capacity):
                continue
            tried.add(node)
            if node not in taken_by or settle(taken_by[node], tried):
                taken_by[node] = group
                return True
        return False

    if not all(settle(group, set()) for group in range(len(groups))):
        return None
    # Groups of equal need could stand in for each other: the earlier one gets the earlier node.
    nodes_for: dict[Need, list[int]] = {}
    for node in sorted(taken_by):
        nodes_for.setdefault(_need(groups[taken_by[node]]), []).append(node)
    return [nodes_for[_need(group)].pop(0) for group in groups]


def _assign(group: Sequence[TaskRequest], node: NodeFact) -> dict[str, Assignment]:
    gpus = _slots(node, SlotKind.GPU, free_only=True)
    cpus = _slots(node, SlotKind.CPU, free_only=True)
    assignments: dict[str, Assignment] = {}
    for task in group:
        if task.gpus:
            slots, gpus = gpus[: task.gpus], gpus[task.gpus :]
        else:
            slots, cpus = cpus[: task.cpu_slots], cpus[task.cpu_slots :]
        simulated = any(slot.simulated for slot in slots)
        assignments[task.key] = Assignment(
            task=task.key,
            node_id=node.id,
            node=node.name,
            slot_ids=tuple(slot.id for slot in slots),
            gpu_indexes=tuple(slot.index for slot in slots) if task.gpus and not simulated else (),
            simulated=simulated,
            address=node.address,
        )
    return assignments


def _busy_reasons(groups: Sequence[Sequence[TaskRequest]], inventory: Inventory) -> tuple[str, ...]:
    needs = [_need(group) for group in groups]
    open_nodes = [_capacity(node, free_only=True) for node in inventory.nodes if node.closed is None]
    # What has room nowhere now is in the way; when every part by itself has, there are too few nodes for all at once.
    without_room = [need for need in needs if not any(_fits(need, capacity) for capacity in open_nodes)] or needs
    reasons: list[str] = []
    for node in inventory.nodes:
        if not any(_fits(need, _capacity(node, free_only=False)) for need in without_room):
            continue  # too small for it, busy or not
        if node.closed is not None:
            reasons.append(f"{node.name}: {node.closed}.")
        elif not any(_fits(need, _capacity(node, free_only=True)) for need in without_room):
            reasons.append(_busy_reason(node, without_room))
    with_room = sum(any(_fits(need, capacity) for need in needs) for capacity in open_nodes)
    if with_room:
        have = "has" if with_room == 1 else "have"
        nodes = _count(len(groups), "node")
        reasons.insert(0, f"This run needs {nodes} at once; {with_room} {have} room for a part of it now.")
    return tuple(reasons)


def _busy_reason(node: NodeFact, needs: Sequence[Need]) -> str:
    """Who is in the way on a node that would have room for one of ``needs`` if it were free."""
    need = next(need for need in needs if _fits(need, _capacity(node, free_only=False)))
    kind = SlotKind.GPU if need[0] > _capacity(node, free_only=True)[0] else SlotKind.CPU
    slots = _slots(node, kind, free_only=False)
    busy = [slot for slot in slots if slot.busy_with is not None]
    holders = ", ".join(dict.fromkeys(slot.busy_with for slot in busy if slot.busy_with))
    word = _word(kind, simulated=any(slot.simulated for slot in slots))
    if len(slots) == 1:
        return f"{node.name}: its 1 {word} is busy with {holders}."
    if len(busy) == len(slots):
        return f"{node.name}: its {len(slots)} {word}s are busy with {holders}."
    wanted = need[0] if kind is SlotKind.GPU else need[1]
    free = len(slots) - len(busy)
    are_free, are_busy = ("is" if number == 1 else "are" for number in (free, len(busy)))
    return (
        f"{node.name}: {free} of its {len(slots)} {word}s {are_free} free, {wanted} needed; "
        f"{len(busy)} {are_busy} busy with {holders}."
    )


def _never_reasons(groups: Sequence[Sequence[TaskRequest]], inventory: Inventory) -> tuple[str, ...]:
    if not inventory.nodes:
        return (f"{inventory.target} has no nodes. Ask an administrator to refresh it.",)
    if len(groups) > len(inventory.nodes):
        return (
            f"{inventory.target} has {_count(len(inventory.nodes), 'node')}; this run asks for {len(groups)}. "
            "Lower the node count or choose another target.",
        )
    return (f"{_limit(groups, inventory)} Ask for less or choose another target.",)


def _limit(groups: Sequence[Sequence[TaskRequest]], inventory: Inventory) -> str:
    """What the nodes lack, however free they are."""
    needs = list(dict.fromkeys(_need(group) for group in groups))
    capacities = [_capacity(node, free_only=False) for node in inventory.nodes]
    for position, kind in enumerate((SlotKind.GPU, SlotKind.CPU)):
        wanted = max(need[position] for need in needs)
        most = max(capacity[position] for capacity in capacities)
        if wanted > most:
            where = "on one node" if len(groups) == 1 else "a node"
            ones = " simulated ones" if kind is SlotKind.GPU and _is_simulated(inventory) else ""
            has = f"has more than {most}{ones}" if most else "has any"
            return f"This run asks for {_count(wanted, _word(kind))} {where}; no node of {inventory.target} {has}."
    if len(needs) > 1 or len(groups) == 1:
        wishes = " and ".join(_wish(need) for need in needs)
        each = ", each on a node of its own" if len(needs) > 1 else " on one node"
        return f"This run asks for {wishes}{each}; {_listed(inventory)}."
    fitting = sum(_fits(needs[0], capacity) for capacity in capacities)
    have = "has" if fitting == 1 else "have"
    return (
        f"This run asks for {_wish(needs[0])} on each of {len(groups)} nodes; {fitting} of the "
        f"{len(inventory.nodes)} nodes of {inventory.target} {have} that many."
    )


def _listed(inventory: Inventory) -> str:
    shown = [f"{node.name} has {_wish(_capacity(node, free_only=False))}" for node in inventory.nodes[:MOST_LISTED]]
    more = len(inventory.nodes) - MOST_LISTED
    return "; ".join(shown) + (f"; and {_count(more, 'node')} more" if more > 0 else "")


def _is_simulated(inventory: Inventory) -> bool:
    return any(slot.simulated for node in inventory.nodes for slot in node.slots)


def _wish(need: Need, *, simulated: bool = False) -> str:
    parts = [_count(need[0], _word(SlotKind.GPU, simulated=simulated))] if need[0] else []
    parts += [_count(need[1], _word(SlotKind.CPU))] if need[1] else []
    return " with ".join(parts) or "no slots"


def _word(kind: SlotKind, *, simulated: bool = False) -> str:
    if kind is SlotKind.CPU:
        return "CPU slot"
    return "simulated GPU" if simulated else "GPU"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
