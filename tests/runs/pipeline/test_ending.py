"""When a run of several tasks ends, and why: from the tasks' states alone, no database."""

from datetime import datetime, timedelta, timezone

import pytest

from runs.distribution import distribution_of
from runs.models import Task
from runs.pipeline.ending import end_of
from runs.spec import RunSpec
from runs.states import EndReason, TaskState

NOW = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
GRACE_S = 30.0

CLUSTER_SPEC = RunSpec(distributed_backend="ps", worker_count=2)
COORDINATED = RunSpec(distributed_backend="ps", worker_count=2, coordinator=True)


def tasks_of(spec, **ends):
    """The tasks of ``spec``, all running but those in ``ends``: ``worker_1=(3, 10)`` exited with 3 ten seconds ago."""
    tasks = []
    for number, role in enumerate(distribution_of(spec).roles(spec)):
        task = Task(pk=number + 1, role=role.name, index=role.index, ends_run=role.ends_run, node_name="node")
        task.state = TaskState.RUNNING
        if f"{role.name}_{role.index}" in ends:
            code, seconds = ends.pop(f"{role.name}_{role.index}")
            task.state, task.exit_code, task.ended_at = TaskState.EXITED, code, NOW - timedelta(seconds=seconds)
        tasks.append(task)
    assert not ends
    return tasks


def ending(spec, **ends):
    return end_of(tasks_of(spec, **ends), distribution_of(spec).roles(spec), now=NOW, rest_grace_s=GRACE_S)


@pytest.mark.parametrize("spec", [RunSpec(), CLUSTER_SPEC, COORDINATED])
def test_a_run_goes_on_while_its_tasks_do(spec):
    assert ending(spec) is None


def test_a_coordinated_run_ends_with_its_chief_and_its_servers_end_is_no_failure():
    assert ending(COORDINATED, chief_0=(0, 0))[0] == EndReason.SUCCEEDED
    assert ending(COORDINATED, chief_0=(0, 5), ps_0=(1, 4), worker_0=(0, 4))[0] == EndReason.SUCCEEDED


def test_without_a_chief_the_run_ends_when_every_worker_has():
    assert ending(CLUSTER_SPEC, worker_0=(0, 5)) is None
    assert ending(CLUSTER_SPEC, worker_1=(0, 500)) is None
    assert ending(CLUSTER_SPEC, worker_0=(0, 5), worker_1=(0, 1)) == (
        EndReason.SUCCEEDED,
        "The script ended well.",
    )


def test_once_worker_0_has_ended_well_the_others_get_a_grace_and_are_named():
    assert ending(CLUSTER_SPEC, worker_0=(0, GRACE_S - 1)) is None
    reason, message = ending(CLUSTER_SPEC, worker_0=(0, GRACE_S))
    assert reason == EndReason.SUCCEEDED
    assert message == "The script ended well. worker 1 was still running 30 s later and was ended."


def test_one_failed_worker_fails_the_run_and_the_first_of_several_is_named():
    reason, message = ending(CLUSTER_SPEC, worker_0=(1, 2), worker_1=(3, 4))
    assert (reason, message) == (EndReason.SCRIPT_FAILED, "worker 1 ended with exit code 3.")


def test_a_server_that_ends_early_fails_the_run_whatever_its_exit_code():
    for code in (0, 1):
        reason, message = ending(CLUSTER_SPEC, ps_0=(code, 1))
        assert reason == EndReason.SCRIPT_FAILED
        assert message == f"ps 0 ended with exit code {code}, before the training had ended."


def test_a_server_that_dies_before_its_workers_is_the_one_named():
    _, message = ending(CLUSTER_SPEC, ps_0=(1, 9), worker_0=(1, 8), worker_1=(1, 7))
    assert message.startswith("ps 0 ended")


def test_a_stranger_on_a_port_is_named_although_others_failed_before():
    tasks = tasks_of(CLUSTER_SPEC, worker_0=(1, 9), worker_1=(1, 8))
    tasks[1].port_taken, tasks[1].meeting = True, {"address": "127.0.0.1", "port": 20011}
    reason, message = end_of(tasks, distribution_of(CLUSTER_SPEC).roles(CLUSTER_SPEC), now=NOW, rest_grace_s=GRACE_S)
    assert reason == EndReason.PORT_TAKEN
    assert message == "worker 1 could not listen: another program on node has port 20011."
