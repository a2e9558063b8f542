"""Placement is pure: tables for the words, hypothesis against brute force for the rest."""

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.placement import place, request_words
from compute.plan import (
    Inventory,
    NoCapacity,
    NodeFact,
    Placement,
    ResourceRequest,
    SlotFact,
    SlotKind,
    TaskRequest,
)

_ids = itertools.count(1)


def node(name: str, *, cpus: str = "", gpus: str = "", closed: str | None = None, simulated: bool = False) -> NodeFact:
    """A node; ``.`` is a free slot and any letter a busy one, held by the run of that letter."""
    slots = [
        SlotFact(
            id=next(_ids),
            kind=kind,
            index=index,
            busy_with=None if mark == "." else f"{mark} #1",
            simulated=simulated and kind is SlotKind.GPU,
        )
        for kind, marks in ((SlotKind.CPU, cpus), (SlotKind.GPU, gpus))
        for index, mark in enumerate(marks)
    ]
    return NodeFact(id=next(_ids), name=name, slots=tuple(slots), closed=closed, address=f"{name}.test")


def wish(*gpus: int, servers: int = 0, nodes: int = 1) -> ResourceRequest:
    """A request with one worker for every number, which says how many GPUs it wants, and servers without slots."""
    workers = tuple(TaskRequest(role="worker", index=index, gpus=count) for index, count in enumerate(gpus))
    without = tuple(TaskRequest(role="ps", index=index, slots=0) for index in range(servers))
    return ResourceRequest(tasks=(*workers, *without), node_count=nodes)


def by_node(answer: Placement) -> dict[str, list[str]]:
    """Which tasks went to which node, in the order of the request."""
    found: dict[str, list[str]] = {}
    for assignment in answer.assignments:
        found.setdefault(assignment.node, []).append(assignment.task)
    return found


def inventory(*nodes: NodeFact, closed: str | None = None) -> Inventory:
    return Inventory(target="local", nodes=nodes, closed=closed)


def test_a_cpu_task_takes_one_free_cpu_slot():
    here = node("local", cpus="a.", gpus=".")
    placement = place(wish(0), inventory(here))
    assert isinstance(placement, Placement)
    (assignment,) = placement.assignments
    assert (assignment.task, assignment.node, assignment.gpu_indexes) == ("worker-0", "local", ())
    assert assignment.slot_ids == (here.slots[1].id,)


def test_a_gpu_task_takes_gpus_of_one_node_and_no_cpu_slot():
    here = node("local", cpus=".", gpus="a..")
    (assignment,) = place(wish(2), inventory(here)).assignments
    assert assignment.gpu_indexes == (1, 2)
    assert assignment.slot_ids == (here.slots[2].id, here.slots[3].id)


def test_the_node_with_the_fewest_free_slots_that_suffice_is_filled_first():
    placement = place(wish(1), inventory(node("large", gpus="...."), node("small", gpus="a.")))
    assert [assignment.node for assignment in placement.assignments] == ["small"]


def test_tasks_of_several_nodes_are_spread_in_order():
    placement = place(wish(1, 1, 1, 1, nodes=2), inventory(node("a", gpus=".."), node("b", gpus="...")))
    assert [assignment.node for assignment in placement.assignments] == ["a", "a", "b", "b"]


def test_a_server_takes_no_slot_and_starts_beside_busy_ones():
    here = node("local", cpus="d.")
    worker, server = place(wish(0, servers=1), inventory(here)).assignments
    assert worker.slot_ids == (here.slots[1].id,)
    assert (server.task, server.node, server.slot_ids, server.gpu_indexes) == ("ps-0", "local", (), ())


def test_servers_are_dealt_to_the_nodes_with_the_fewest_tasks_and_leave_the_workers_evenly_spread():
    two = [node("a", gpus="."), node("b", gpus=".")]
    assert by_node(place(wish(1, 1, servers=1, nodes=2), inventory(*two))) == {
        "a": ["worker-0", "ps-0"],
        "b": ["worker-1"],
    }
    apart = by_node(place(wish(1, servers=1, nodes=2), inventory(*two)))
    assert sorted(apart.values()) == [["ps-0"], ["worker-0"]]


def test_a_launcher_without_slots_joins_the_first_node_of_its_ranks():
    ranks = tuple(TaskRequest(role="rank", index=index) for index in range(4))
    request_ = ResourceRequest(tasks=(TaskRequest(role="launcher", index=0, slots=0), *ranks), node_count=2)
    answer = place(request_, inventory(node("a", cpus=".."), node("b", cpus="..")))
    assert by_node(answer) == {"a": ["launcher-0", "rank-0", "rank-1"], "b": ["rank-2", "rank-3"]}


def test_a_task_may_take_several_cpu_slots():
    here = node("local", cpus="a...")
    request_ = ResourceRequest(tasks=(TaskRequest(role="worker", index=0, slots=2),))
    (assignment,) = place(request_, inventory(here)).assignments
    assert assignment.slot_ids == (here.slots[1].id, here.slots[2].id)


def test_a_simulated_gpu_gives_its_slot_and_no_index():
    here = node("local", gpus="..", simulated=True)
    (assignment,) = place(wish(1), inventory(here)).assignments
    assert assignment.slot_ids == (here.slots[0].id,)
    assert (assignment.simulated, assignment.gpu_indexes) == (True, ())
    (real,) = place(wish(1), inventory(node("local", gpus="."))).assignments
    assert (real.simulated, real.gpu_indexes) == (False, (0,))


def test_an_assignment_says_how_others_reach_its_node():
    (assignment,) = place(wish(0), inventory(node("n1", cpus="."))).assignments
    assert assignment.address == "n1.test"


@pytest.mark.parametrize(
    ("request_", "nodes", "reasons"),
    [
        (wish(0), [node("local", cpus="d")], ("local: its 1 CPU slot is busy with d #1.",)),
        (wish(0), [node("local", cpus="de")], ("local: its 2 CPU slots are busy with d #1, e #1.",)),
        (wish(0), [node("local", cpus="dd")], ("local: its 2 CPU slots are busy with d #1.",)),
        (wish(2), [node("n1", gpus="d.")], ("n1: 1 of its 2 GPUs is free, 2 needed; 1 is busy with d #1.",)),
        (wish(1), [node("n1", gpus="d"), node("n2", gpus=".", closed="it does not answer (no route)")],
         ("n1: its 1 GPU is busy with d #1.", "n2: it does not answer (no route).")),
        (wish(1), [node("n1", gpus="d"), node("small", cpus="..")], ("n1: its 1 GPU is busy with d #1.",)),
        (wish(1, 1, nodes=2), [node("n1", gpus="."), node("n2", gpus="d")],
         ("This run needs 2 nodes at once; 1 has room for a part of it now.", "n2: its 1 GPU is busy with d #1.")),
    ],
)  # fmt: skip
def test_the_reasons_name_who_is_in_the_way(request_, nodes, reasons):
    answer = place(request_, inventory(*nodes))
    assert answer == NoCapacity(reasons=reasons)


def test_simulated_gpus_are_called_so_where_they_are_busy():
    answer = place(wish(1), inventory(node("n1", gpus="d", simulated=True)))
    assert answer.reasons == ("n1: its 1 simulated GPU is busy with d #1.",)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (wish(1), "1 GPU"),
        (wish(0, 0, servers=1), "2 CPU slots"),
        (wish(1, 1, 1, 1, nodes=2), "2 GPUs on each of 2 nodes"),
        (wish(1, 1, 1, nodes=2), "3 GPUs over 2 nodes"),
        (wish(1, servers=1, nodes=2), "1 GPU over 2 nodes"),
    ],
)
def test_a_request_is_put_in_words(request_, words):
    assert request_words(request_) == words
    assert request_words(request_, simulated=True) == words.replace("GPU", "simulated GPU")


def test_a_mixed_run_is_told_which_of_its_slots_are_busy():
    answer = place(wish(0, 1), inventory(node("local", cpus="d", gpus=".")))
    assert answer.reasons == ("local: its 1 CPU slot is busy with d #1.",)
    answer = place(wish(1, 0, nodes=2), inventory(node("gpus", gpus="d"), node("cpus", cpus="e")))
    assert answer.reasons == ("gpus: its 1 GPU is busy with d #1.", "cpus: its 1 CPU slot is busy with e #1.")


def test_a_part_that_has_room_nowhere_is_named_although_others_have():
    busy, other = node("gpus", gpus="d", cpus="."), node("cpus", cpus=".")
    answer = place(wish(1, 0, nodes=2), inventory(busy, other))
    assert answer.reasons == (
        "This run needs 2 nodes at once; 2 have room for a part of it now.",
        "gpus: its 1 GPU is busy with d #1.",
    )
    answer = place(wish(0, servers=1, nodes=2), inventory(node("n1", cpus="d"), node("n2", cpus="e")))
    assert answer.reasons[1:] == ("n1: its 1 CPU slot is busy with d #1.", "n2: its 1 CPU slot is busy with e #1.")


def test_a_closed_target_says_so():
    answer = place(wish(0), inventory(node("local", cpus="."), closed="an administrator has closed it for new runs"))
    assert answer == NoCapacity(reasons=("local: an administrator has closed it for new runs.",))


@pytest.mark.parametrize(
    ("request_", "nodes", "reason"),
    [
        (wish(0), [], "local has no nodes. Ask an administrator to refresh it."),
        (wish(1), [node("local", cpus="..")],
         "This run asks for 1 GPU on one node; no node of local has any. Ask for less or choose another target."),
        (wish(2, 2), [node("local", gpus="...")],
         "This run asks for 4 GPUs on one node; no node of local has more than 3. "
         "Ask for less or choose another target."),
        (wish(*[1] * 8, nodes=2), [node("a", gpus=".."), node("b", gpus="..")],
         "This run asks for 4 GPUs a node; no node of local has more than 2. Ask for less or choose another target."),
        (wish(*[1] * 8, nodes=2), [node(name, gpus="..", simulated=True) for name in "ab"],
         "This run asks for 4 GPUs a node; no node of local has more than 2 simulated ones. "
         "Ask for less or choose another target."),
        (wish(0, 0, 0), [node("local", cpus="..")],
         "This run asks for 3 CPU slots on one node; no node of local has more than 2. "
         "Ask for less or choose another target."),
        (wish(1, 1, 1, 1, nodes=2), [node("a", gpus=".."), node("b", gpus="."), node("c")],
         "This run asks for 2 GPUs on each of 2 nodes; 1 of the 3 nodes of local has that many. "
         "Ask for less or choose another target."),
        (wish(0, 1), [node("a", cpus="."), node("b", gpus=".")],
         "This run asks for 1 GPU with 1 CPU slot on one node; a has 1 CPU slot; b has 1 GPU. "
         "Ask for less or choose another target."),
        (wish(1, 0, nodes=2), [node(str(number), cpus=".", gpus=".") if number == 3 else node(str(number))
                              for number in range(6)],
         "This run asks for 1 GPU and 1 CPU slot, each on a node of its own; 0 has no slots; 1 has no slots; "
         "2 has no slots; 3 has 1 GPU with 1 CPU slot; and 2 nodes more. Ask for less or choose another target."),
        (wish(0, 0, nodes=2), [node("local", cpus="..")],
         "local has 1 node; this run asks for 2. Lower the node count or choose another target."),
    ],
)  # fmt: skip
def test_what_can_never_fit_is_said_at_once(request_, nodes, reason):
    assert place(request_, inventory(*nodes)) == NoCapacity(reasons=(reason,), never=True)


marks = st.text(alphabet=".ab", max_size=4)
nodes = st.lists(
    st.builds(
        lambda cpus, gpus, closed: node("n", cpus=cpus, gpus=gpus, closed=closed),
        marks,
        marks,
        st.sampled_from([None, None, None, "it does not answer (gone)"]),
    ),
    max_size=4,
)
requests = st.builds(
    lambda gpus, servers, count: wish(*gpus, servers=servers, nodes=min(count, len(gpus) + servers)),
    st.lists(st.integers(0, 3), min_size=1, max_size=5),
    st.integers(0, 2),
    st.integers(1, 3),
)


@given(requests, nodes)
def test_a_placement_uses_free_slots_once_and_gives_every_task_what_it_asked(request_, nodes_):
    answer = place(request_, inventory(*nodes_))
    if isinstance(answer, NoCapacity):
        return
    by_id = {found.id: (slot_node, found) for slot_node in nodes_ for found in slot_node.slots}
    used = [slot_id for assignment in answer.assignments for slot_id in assignment.slot_ids]
    assert len(used) == len(set(used))
    assert [assignment.task for assignment in answer.assignments] == [task.key for task in request_.tasks]
    for task, assignment in zip(request_.tasks, answer.assignments, strict=True):
        kind = SlotKind.GPU if task.gpus else SlotKind.CPU
        assert len(assignment.slot_ids) == (task.gpus or task.slots)
        for slot_id in assignment.slot_ids:
            slot_node, slot = by_id[slot_id]
            assert (slot_node.id, slot.kind, slot.busy_with) == (assignment.node_id, kind, None)
            assert slot_node.closed is None
    assert len({assignment.node_id for assignment in answer.assignments}) == request_.node_count


@given(requests, nodes)
def test_a_place_is_found_whenever_there_is_one_and_never_means_never(request_, nodes_):
    answer = place(request_, inventory(*nodes_))
    free = [node_ for node_ in nodes_ if node_.closed is None]
    assert isinstance(answer, Placement) == _fits_somehow(request_, free, free_only=True)
    if isinstance(answer, NoCapacity):
        assert answer.never != _fits_somehow(request_, nodes_, free_only=False)
        assert answer.reasons
        assert all(reason.endswith(".") and "busy with ." not in reason for reason in answer.reasons)


@given(st.integers(1, 4), st.integers(1, 4), st.booleans(), st.booleans(), nodes)
def test_ranks_fill_every_node_with_as_many_processes_as_asked(node_count, processes, use_gpu, is_launched, nodes_):
    ranks = tuple(TaskRequest(role="rank", index=index, gpus=int(use_gpu)) for index in range(node_count * processes))
    launcher = (TaskRequest(role="launcher", index=0, slots=0),) if is_launched else ()
    named = [dataclasses.replace(found, name=f"n{index}") for index, found in enumerate(nodes_)]
    answer = place(ResourceRequest(tasks=(*launcher, *ranks), node_count=node_count), inventory(*named))
    if isinstance(answer, NoCapacity):
        return
    held = [[task for task in tasks if task != "launcher-0"] for tasks in by_node(answer).values()]
    assert [len(tasks) for tasks in held] == [processes] * node_count
    assert list(itertools.chain(*held)) == [rank.key for rank in ranks]  # a node's ranks follow each other


@given(requests, nodes)
def test_no_gpu_is_seen_by_two_tasks_and_none_by_a_server(request_, nodes_):
    answer = place(request_, inventory(*nodes_))
    if isinstance(answer, NoCapacity):
        return
    seen = [(found.node_id, index) for found in answer.assignments for index in found.gpu_indexes]
    assert len(seen) == len(set(seen)) == sum(task.gpus for task in request_.tasks)
    assert all(not found.slot_ids for found in answer.assignments if found.task.startswith("ps-"))


def _fits_somehow(request_: ResourceRequest, nodes_: list[NodeFact], *, free_only: bool) -> bool:
    """Every way to give the groups nodes of their own, tried out."""
    tasks, count = [task for task in request_.tasks if task.gpus or task.slots], request_.node_count
    bounds = [-(-index * len(tasks) // count) for index in range(count + 1)]
    groups = [tasks[start:end] for start, end in itertools.pairwise(bounds)]
    return any(
        all(_has_room(node_, group, free_only) for node_, group in zip(chosen, groups, strict=True))
        for chosen in itertools.permutations(nodes_, count)
    )


def _has_room(node_: NodeFact, group: list[TaskRequest], free_only: bool) -> bool:
    here = [slot.kind for slot in node_.slots if not free_only or slot.busy_with is None]
    gpus, cpus = sum(task.gpus for task in group), sum(task.slots for task in group if not task.gpus)
    return here.count(SlotKind.GPU) >= gpus and here.count(SlotKind.CPU) >= cpus
