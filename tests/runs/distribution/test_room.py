"""What can never be placed is refused at once, with the limit and the field to change."""

import pytest

from compute.plan import Inventory, NodeFact, ResourceRequest, SlotFact, SlotKind, TaskRequest
from runs.distribution.room import room_problems
from runs.spec import RunSpec


class Equal:
    """One task for each process of the spec, as many as it asks for."""

    def request(self, spec: RunSpec) -> ResourceRequest:
        ranks = spec.node_count * spec.process_count_per_node if spec.distribution == "mpi" else spec.worker_count
        tasks = tuple(TaskRequest(role="rank", index=index, gpus=int(spec.use_gpu)) for index in range(ranks))
        return ResourceRequest(tasks=tasks, node_count=spec.node_count)


class Uncounted:
    """Nobody may ask for its tasks."""

    def request(self, spec: RunSpec) -> ResourceRequest:
        raise AssertionError("the tasks were counted out")


def target(*gpus: int, cpus: int = 2) -> Inventory:
    """A node for every number of GPUs, all of its slots busy."""
    return Inventory(
        target="lab",
        nodes=tuple(
            NodeFact(
                id=node,
                name=f"n{node}",
                slots=tuple(
                    SlotFact(id=100 * node + index, kind=kind, index=index, busy_with="a #1")
                    for index, kind in enumerate([SlotKind.GPU] * count + [SlotKind.CPU] * cpus)
                ),
            )
            for node, count in enumerate(gpus)
        ),
    )


@pytest.mark.parametrize(
    ("changes", "inventory", "field", "sentence"),
    [
        ({"distributed_backend": "mpi", "node_count": 3}, target(2, 2), "node_count",
         "node_count is 3; target lab has 2 nodes. Lower node_count or choose another target."),
        ({"distributed_backend": "mpi", "node_count": 2}, target(2), "node_count",
         "node_count is 2; target lab has 1 node. Lower node_count or choose another target."),
        ({"distributed_backend": "mpi", "process_count_per_node": 4, "use_gpu": True}, target(2, 1),
         "process_count_per_node", "This run asks for 4 GPUs a node; no node of target lab has more than 2. "
         "Lower process_count_per_node or choose another target."),
        ({"distributed_backend": "multiworker", "worker_count": 5, "node_count": 2}, target(0, 0), "worker_count",
         "This run asks for 3 CPU slots a node; no node of target lab has more than 2. "
         "Lower worker_count or choose another target."),
        ({"distributed_backend": "multiworker", "worker_count": 3}, target(0, 0), "worker_count",
         "This run asks for 3 CPU slots a node; no node of target lab has more than 2. "
         "Lower worker_count, raise node_count to 2 or choose another target."),
        ({"distributed_backend": "ps", "worker_count": 4, "node_count": 2, "use_gpu": True}, target(2, 1),
         "worker_count", "This run asks for 2 GPUs on each of 2 nodes; 1 of the 2 nodes of lab has that many. "
         "Ask for less or choose another target."),
        ({"use_gpu": True}, target(0), "use_gpu",
         "This run asks for 1 GPU on one node; no node of lab has any. Ask for less or choose another target."),
        ({}, target(), "compute_target", "lab has no nodes. Ask an administrator to refresh it."),
    ],
)  # fmt: skip
def test_the_limit_is_named_with_the_field_to_change(changes, inventory, field, sentence):
    (problem,) = room_problems(RunSpec(**changes), Equal(), inventory)
    assert (problem.field, problem.message) == (field, sentence)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"distributed_backend": "mpi", "node_count": 2, "process_count_per_node": 2},
        {"distributed_backend": "mpi", "node_count": 2, "process_count_per_node": 2, "use_gpu": True},
        {"distributed_backend": "multiworker", "worker_count": 3, "node_count": 2, "use_gpu": True},
    ],
)
def test_what_fits_once_everything_is_free_has_no_problem(changes):
    assert room_problems(RunSpec(**changes), Equal(), target(2, 2)) == []


def test_a_huge_wish_is_refused_before_its_tasks_are_counted_out():
    huge = RunSpec(distributed_backend="mpi", node_count=2, process_count_per_node=10_000)
    (problem,) = room_problems(huge, Uncounted(), target(2, 2))
    assert "asks for 10,000 CPU slots a node" in problem.message
    (problem,) = room_problems(RunSpec(distributed_backend="mpi", node_count=10_000), Uncounted(), target(2))
    assert problem.field == "node_count"
