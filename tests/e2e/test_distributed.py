"""Training over several processes, as a person submits it: real TensorFlow, the examples, and what befalls a task."""

import json
import os
import shutil
import signal

import psutil
import pytest

from tests.e2e.house import ROOT, wait_for
from tests.horovod import horovod_wheel, training_key

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

PACKAGES = "scikit-learn"

#: Where an installation keeps what it has compiled, below its data folder.
WHEELS = "tools/horovod"


def example(name):
    return (ROOT / "examples" / name / "train.py").read_text()


def tasks_of(house, run_id):
    """By member, such as ``worker-0``, the rows of the run's tasks."""
    rows = house.rows(
        "SELECT t.* FROM runs_task t JOIN runs_attempt a ON a.id = t.attempt_id WHERE a.run_id = ? ORDER BY t.id",
        run_id,
    )
    return {f"{row['role']}-{row['index']}": row for row in rows}


def output_of(house, run_id, member):
    task = tasks_of(house, run_id)[member]
    stream = house.row("SELECT * FROM runs_stream WHERE task_id = ? AND name = 'output'", task["id"])
    return house.stored(stream["id"]).decode()


def processes_of(house, run_id):
    """The processes that any task of the run has left on the machine."""
    marks = {f"task-{row['id']}" for row in tasks_of(house, run_id).values()}
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TRAINHOUSE_TASK") in marks:
                found.append(process)
        except psutil.Error:
            continue
    return found


def no_survivors(house, run_id):
    wait_for(lambda: not processes_of(house, run_id), timeout_s=20, what=lambda: str(processes_of(house, run_id)))


def summary_of(house, person, run_id):
    row = house.row("SELECT id FROM runs_artifact WHERE run_id = ? AND path = 'outputs/summary.json'", run_id)
    return json.loads(person.get(f"/runs/{run_id}/files/{row['id']}/download"))


def test_equal_workers_train_together_and_end_with_the_same_weights(house, person):
    run_id = person.submit(
        example("multiworker_digits"), distributed_backend="multiworker", worker_count=2, pip_packages=PACKAGES
    )
    row = house.wait_ended(run_id, timeout_s=240)
    assert row["state"] == "completed", house.story(run_id)
    assert summary_of(house, person, run_id)["workers"] == 2
    for member in ("worker-0", "worker-1"):
        assert "largest difference of a weight between the workers: 0" in output_of(house, run_id, member)
    no_survivors(house, run_id)


def test_a_coordinator_hands_out_the_work_and_the_servers_are_ended_without_blame(house, person):
    run_id = person.submit(
        example("ps_digits"),
        distributed_backend="ps",
        worker_count=2,
        parameter_server_count=1,
        coordinator="on",
        pip_packages=PACKAGES,
    )
    row = house.wait_ended(run_id, timeout_s=240)
    assert (row["state"], row["end_reason"]) == ("completed", "succeeded"), house.story(run_id)
    assert set(tasks_of(house, run_id)) == {"chief-0", "worker-0", "worker-1", "ps-0"}
    assert "epoch 10: loss" in output_of(house, run_id, "chief-0")
    assert summary_of(house, person, run_id)["validation_accuracy"] > 0.8
    no_survivors(house, run_id)


def test_the_older_form_reads_its_part_from_tf_config(house, person):
    run_id = person.submit(
        example("ps_clusterspec"),
        distributed_backend="ps",
        worker_count=2,
        parameter_server_count=1,
        pip_packages=PACKAGES,
    )
    row = house.wait_ended(run_id, timeout_s=240)
    assert row["state"] == "completed", house.story(run_id)
    assert "ps 0 of {" in output_of(house, run_id, "ps-0")
    assert summary_of(house, person, run_id)["validation_accuracy"] > 0.8
    no_survivors(house, run_id)


TF_CONFIG_AND_WAIT = (
    "import json, os, time\n"
    "told = json.loads(os.environ['TF_CONFIG'])\n"
    "print(json.dumps(told), flush=True)\n"
    "time.sleep({seconds})\n"
)


def test_every_task_is_told_the_same_cluster_and_its_own_part(house, person):
    run_id = person.submit(
        TF_CONFIG_AND_WAIT.format(seconds="3600 if told['task']['type'] == 'ps' else 0"),
        distributed_backend="ps",
        worker_count=2,
        parameter_server_count=2,
    )
    row = house.wait_ended(run_id, timeout_s=120)
    assert row["state"] == "completed", house.story(run_id)
    told = {member: json.loads(output_of(house, run_id, member)) for member in tasks_of(house, run_id)}
    assert {json.dumps(one["cluster"], sort_keys=True) for one in told.values()} == {
        json.dumps(told["ps-0"]["cluster"], sort_keys=True)
    }
    addresses = [address for group in told["ps-0"]["cluster"].values() for address in group]
    assert len(addresses) == len(set(addresses)) == 4
    assert {f"{one['task']['type']}-{one['task']['index']}" for one in told.values()} == set(told)
    no_survivors(house, run_id)


@pytest.mark.parametrize(
    ("victim", "reason", "words"),
    [("worker-1", "killed", "worker 1 was killed by signal 9"), ("ps-0", "killed", "ps 0 was killed by signal 9")],
)
def test_a_task_that_is_killed_ends_the_run_and_is_named(house, person, victim, reason, words):
    run_id = person.submit(
        TF_CONFIG_AND_WAIT.format(seconds=3600), distributed_backend="ps", worker_count=2, parameter_server_count=1
    )
    house.wait_until(run_id, "running", timeout_s=120)
    wait_for(lambda: "cluster" in output_of(house, run_id, victim), timeout_s=20, what="its script")
    mark = f"task-{tasks_of(house, run_id)[victim]['id']}"
    script = next(
        one
        for one in processes_of(house, run_id)
        if one.environ().get("TRAINHOUSE_RANK") and one.environ()["TRAINHOUSE_TASK"] == mark
    )
    os.kill(script.pid, signal.SIGKILL)
    row = house.wait_ended(run_id, timeout_s=60)
    assert (row["state"], row["end_reason"]) == ("failed", reason), house.story(run_id)
    assert words in row["end_message"]
    no_survivors(house, run_id)


def test_a_cancelled_run_leaves_no_process_of_any_task(house, person):
    run_id = person.submit(TF_CONFIG_AND_WAIT.format(seconds=3600), distributed_backend="multiworker", worker_count=3)
    house.wait_until(run_id, "running", timeout_s=120)
    person.post(f"/runs/{run_id}/cancel/")
    row = house.wait_ended(run_id, timeout_s=60)
    assert row["state"] == "cancelled", house.story(run_id)
    no_survivors(house, run_id)


@pytest.fixture
def horovod_compiled(house, training_python, horovod_python):
    """The house has the wheel that the tests have compiled; the version of TensorFlow that it is for."""
    key = training_key(training_python)
    folder = house.data_dir / WHEELS / key.digest
    if not folder.exists():
        shutil.copytree(horovod_wheel(training_python).path.parent, folder)
    return key.tensorflow.partition("==")[2]


def test_horovod_averages_over_two_ranks_which_end_with_the_same_weights(house, person, horovod_compiled):
    run_id = person.submit(
        example("horovod_digits"),
        distributed_backend="mpi",
        process_count_per_node=2,
        pip_packages=PACKAGES,
        framework_version=horovod_compiled,
    )
    row = house.wait_ended(run_id, timeout_s=300)
    assert row["state"] == "completed", house.story(run_id)
    assert set(tasks_of(house, run_id)) == {"launcher-0", "rank-0", "rank-1"}
    for member in ("rank-0", "rank-1"):
        assert "largest difference of a weight between the ranks: 0\n" in output_of(house, run_id, member)
    assert summary_of(house, person, run_id)["ranks"] == 2
    no_survivors(house, run_id)
