"""What the ranks of Horovod are given, and which of them is named when several end together."""

from datetime import datetime, timedelta, timezone

import pytest

from compute.models import Node, Slot
from runs.distribution import distribution_of
from runs.models import Task
from runs.pipeline import advance
from runs.pipeline.ending import LAUNCH_SETTLE_S, end_of, first_failed
from runs.spec import RunSpec
from runs.states import EndReason, TaskState
from tests.factories import make_run, make_target

NOW = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
RANKS = RunSpec(distributed_backend="mpi", process_count_per_node=2)


def launch(backend, target):
    plans: list = []
    backend.on_launch = plans.append
    spec = RunSpec(
        compute_target=target.name, use_gpu=True, distributed_backend="mpi", node_count=2, process_count_per_node=2
    )
    advance(make_run(target=target, spec=spec).pk)
    return [task.gpu_indexes for task in plans[0].tasks]


@pytest.mark.django_db
def test_ranks_on_virtual_nodes_of_one_machine_see_a_gpu_for_each_local_rank(environment, backend):
    target = make_target(gpus=2, nodes=2)
    Slot.objects.filter(node__name="node-2", kind="gpu", index=1).update(index=3)
    Slot.objects.filter(node__name="node-2", kind="gpu", index=0).update(index=2)
    assert launch(backend, target) == [(), *[(0, 1, 2, 3)] * 4]


@pytest.mark.django_db
def test_ranks_on_another_machine_see_its_gpus_alone(environment, backend):
    target = make_target(gpus=2, nodes=2)
    Node.objects.filter(name="node-2").update(address="10.0.0.2")
    assert launch(backend, target) == [(), *[(0, 1)] * 4]


def tasks_of(**ends):
    """A launcher and two ranks, running but for ``ends``: ``rank_1=(exit code or -signal, seconds ago)``."""
    tasks = []
    for number, role in enumerate(distribution_of(RANKS).roles(RANKS)):
        task = Task(pk=number + 1, role=role.name, index=role.index, node_name="node", state=TaskState.RUNNING)
        end, seconds = ends.pop(f"{role.name}_{role.index}", (None, 0))
        if end is not None:
            task.state, task.ended_at = TaskState.EXITED, NOW - timedelta(seconds=seconds)
            task.exit_code, task.exit_signal = (end, None) if end >= 0 else (None, -end)
        tasks.append(task)
    assert not ends
    return tasks


def ending(**ends):
    return end_of(tasks_of(**ends), distribution_of(RANKS).roles(RANKS), now=NOW, rest_grace_s=30)


def test_a_rank_that_failed_is_named_before_those_that_mpirun_ended_for_it():
    reason, message = ending(rank_1=(3, 1.4), rank_0=(-15, 0.3), launcher_0=(3, 0.2))
    assert (reason, message) == (EndReason.SCRIPT_FAILED, "rank 1 ended with exit code 3.")
    assert ending(rank_1=(3, 0.1)) == (reason, message)


def test_a_rank_that_mpirun_ended_is_not_named_when_another_left_too_early():
    tasks = tasks_of(rank_1=(0, 1.2), rank_0=(-15, 0.04), launcher_0=(1, 0.0))
    assert str(first_failed(tasks)) == "launcher 0"
    assert ending(rank_1=(0, 1.2), rank_0=(-15, 0.04), launcher_0=(1, 0.0)) == (
        EndReason.SCRIPT_FAILED,
        "launcher 0 ended with exit code 1.",
    )


def test_a_launcher_whose_ranks_have_not_told_their_end_yet_waits_for_them_a_moment():
    assert ending(launcher_0=(3, 0.1)) is None
    assert ending(launcher_0=(3, 0.1), rank_0=(-15, 0.2)) is None
    assert ending(launcher_0=(3, 0.1), rank_0=(-15, 0.2), rank_1=(3, 1))[1] == "rank 1 ended with exit code 3."
    assert ending(launcher_0=(3, LAUNCH_SETTLE_S))[1] == "launcher 0 ended with exit code 3."


def test_a_rank_that_was_asked_to_end_waits_a_moment_for_whoever_asked():
    assert ending(rank_0=(-15, 0.1)) is None
    assert ending(rank_0=(-15, LAUNCH_SETTLE_S))[1] == "rank 0 was killed by signal 15 (SIGTERM)."


@pytest.mark.django_db
@pytest.mark.parametrize(("node_count", "hosts"), [(1, None), (2, "127.0.0.1,10.0.0.2")])
def test_over_several_nodes_scripts_find_them_under_azures_names(environment, backend, node_count, hosts):
    target = make_target(cpu_slots=2, nodes=2)
    Node.objects.filter(name="node-2").update(address="10.0.0.2")
    plans: list = []
    backend.on_launch = plans.append
    spec = RunSpec(compute_target=target.name, distributed_backend="mpi", node_count=node_count)
    advance(make_run(target=target, spec=spec).pk)
    for task in plans[0].tasks:
        assert task.environ.get("AZ_BATCH_HOST_LIST") == hosts
        assert ("AZ_BATCH_MASTER_NODE" in task.environ) is (hosts is not None)
