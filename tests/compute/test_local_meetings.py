"""A task of a cluster on the local target: what is seen of it while it waits for the others, and what ends it."""

import json
import os
import signal

import pytest

from compute.backends.local.watching import exit_record
from compute.plan import ClusterPlan, Liveness
from tests.compute.plans import commands_with, finished, output_of, script_plan, seen, wait_for

WAITS = "import os, time\nprint(os.environ['TF_CONFIG'], flush=True)\ntime.sleep(600)\n"


@pytest.fixture
def waiting(backend):
    """The plan and the handle of a task that has said where it is and waits for one that never comes."""
    cluster = ClusterPlan(
        members=("worker-0", "worker-1"),
        member="worker-0",
        address="127.0.0.1",
        ports=(20000, 27999),
        listens=True,
        tf_config=True,
    )
    plan = script_plan(backend, WAITS, cluster=cluster)
    (handle,) = backend.launch(plan)
    wait_for(lambda: place_of(backend, handle) is not None)
    return plan, handle


def place_of(backend, handle):
    path = backend.folders.task(handle.key) / "meeting.json"
    return json.loads(path.read_text()) if path.exists() else None


def harness_kill(backend, handle):
    """Kills the harness alone: the parent of the guard, which has the same command line."""
    pids = commands_with(str(backend.folders.task(handle.key)))
    (harness,) = (pid for pid in pids if parent_of(pid) not in pids)
    os.kill(harness, signal.SIGKILL)


def parent_of(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def tell(backend, handle):
    """Writes down what the harness does when it is told where all are."""
    folder = backend.folders.task(handle.key)
    cluster = [{"member": "worker-0", **place_of(backend, handle)}, {"member": "worker-1", "address": "h", "port": 1}]
    fresh = folder / "cluster.json.new"
    fresh.write_text(json.dumps(cluster))
    os.chown(fresh, folder.stat().st_uid, folder.stat().st_gid)
    fresh.rename(folder / "cluster.json")


def test_a_task_that_waits_is_alive_and_its_script_has_not_started(backend, waiting):
    _, handle = waiting
    assert seen(backend, handle).liveness is Liveness.ALIVE
    assert output_of(backend, handle) == ""


def test_its_script_starts_when_all_have_met(backend, waiting):
    _, handle = waiting
    tell(backend, handle)
    wait_for(lambda: output_of(backend, handle))
    port = place_of(backend, handle)["port"]
    assert json.loads(output_of(backend, handle))["cluster"] == {"worker": [f"127.0.0.1:{port}", "h:1"]}


def test_one_whose_harness_died_is_unwatched_and_waits_on_at_its_place(backend, waiting):
    plan, handle = waiting
    place = place_of(backend, handle)
    harness_kill(backend, handle)
    wait_for(lambda: seen(backend, handle).liveness is Liveness.UNWATCHED)
    backend.launch(plan)
    assert seen(backend, handle).liveness is Liveness.ALIVE
    assert place_of(backend, handle) == place


@pytest.mark.parametrize("has_harness", [True, False])
def test_one_that_is_stopped_ends_without_its_script(backend, waiting, has_harness):
    _, handle = waiting
    if not has_harness:
        harness_kill(backend, handle)
        wait_for(lambda: seen(backend, handle).liveness is Liveness.UNWATCHED)
    backend.stop(handle, grace_s=5)
    status = finished(backend, handle)
    assert (status.liveness, status.exit.signal) == (Liveness.EXITED, signal.SIGTERM)
    assert output_of(backend, handle) == ""


def test_one_that_is_killed_leaves_nothing_and_may_be_launched_again(backend, waiting):
    plan, handle = waiting
    place = place_of(backend, handle)
    assert backend.kill(handle) == 2  # harness and guard
    wait_for(lambda: seen(backend, handle).liveness is Liveness.ABSENT)
    backend.launch(plan)
    wait_for(lambda: said_by(backend, handle).count("Waiting until all 2 tasks have met") == 2)
    assert place_of(backend, handle) == place


def said_by(backend, handle):
    return backend.read_spool(handle, "harness", offset=0, size=100_000).decode()


@pytest.mark.parametrize(
    ("said", "believed"), [(True, True), (False, False), ("yes", False), (1, False), (None, False)]
)
def test_a_taken_port_is_believed_in_plain_words_only(said, believed):
    assert exit_record({"code": 1, "signal": None, "ended_at": 5.0, "port_taken": said}).port_taken is believed
