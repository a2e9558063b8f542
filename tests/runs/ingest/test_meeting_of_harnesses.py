"""Real harnesses meet through the real ingest, over a real connection."""

import json
import os
import signal
import threading
import time

import pytest
import uvicorn

from compute.models import Node
from runs.api.ingest import application
from runs.ingest.tokens import task_token
from runs.models import Attempt, Run, Task
from runs.states import RunState, TaskState
from tests.factories import make_run, make_task
from tests.sdk.task_folder import TaskFolder, wait_for

pytestmark = pytest.mark.django_db(transaction=True)

MEMBERS = ("worker-0", "worker-1", "ps-0")
SHOW = "import os, time\nprint(os.environ['TF_CONFIG'], flush=True)\nwhile not os.path.exists('end'): time.sleep(0.02)"


@pytest.fixture
def url(monkeypatch):
    """Where the ingest listens."""
    monkeypatch.setattr("runs.ingest.receive.ring", lambda run_id: None)
    monkeypatch.setattr("runs.ingest.receive.enqueue_advance", lambda run_id: None)
    server = uvicorn.Server(uvicorn.Config(application, port=0, lifespan="off", log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_for(lambda: server.started, what="the ingest")
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def folders(url, tmp_path):
    """The laid out folders of an attempt's tasks, by member."""
    run = make_run(state=RunState.STARTING)
    node = Node.objects.get(target=run.target)
    made = {}
    for member in MEMBERS:
        role, _, index = member.partition("-")
        task = make_task(run, role=role, index=int(index), state=TaskState.STARTING, node=node, meets=True)
        cluster = {
            "members": list(MEMBERS),
            "member": member,
            "address": node.address,
            "ports": [20000, 27999],
            "listens": True,
            "tf_config": True,
        }
        made[member] = TaskFolder(
            tmp_path / member, script=SHOW, server_url=url, token=task_token(task.pk), cluster=cluster
        )
    yield made
    for folder in made.values():
        folder.clear()


def states():
    return {f"{task.role}-{task.index}": task.state for task in Task.objects.all()}


def test_harnesses_meet_their_scripts_start_and_only_then_do_the_tasks_run(folders):
    harnesses = {member: folders[member].harness_start() for member in MEMBERS[:2]}
    wait_for(lambda: Task.objects.filter(meeting__isnull=False).count() == 2, what="two that have come")
    time.sleep(1.5)  # longer than facts of a task are kept
    assert set(states().values()) == {TaskState.STARTING}
    os.kill(harnesses["worker-1"].pid, signal.SIGKILL)
    harnesses["worker-1"].wait()
    for member in MEMBERS[1:]:
        harnesses[member] = folders[member].harness_start()
    wait_for(lambda: set(states().values()) == {TaskState.RUNNING}, what="all scripts")

    places = {f"{task.role}-{task.index}": "127.0.0.1:{}".format(task.meeting["port"]) for task in Task.objects.all()}
    for member, folder in folders.items():
        wait_for(folder.output, what="TF_CONFIG")
        told = json.loads(folder.output())
        assert told["cluster"] == {"worker": [places["worker-0"], places["worker-1"]], "ps": [places["ps-0"]]}
        assert "{type}-{index}".format(**told["task"]) == member
        (folder.root / "work" / "end").touch()
    assert [harness.wait(20) for harness in harnesses.values()] == [0, 0, 0]
    assert set(Task.objects.values_list("state", "exit_code", "port_taken")) == {(TaskState.EXITED, 0, False)}


def test_a_run_that_stops_while_its_tasks_wait_ends_them_without_their_scripts(folders):
    harnesses = [folders[member].harness_start() for member in MEMBERS[:2]]
    wait_for(lambda: Task.objects.filter(meeting__isnull=False).count() == 2, what="two that have come")
    Run.objects.filter(attempts=Attempt.objects.get()).update(state=RunState.STOPPING)

    assert [harness.wait(15) for harness in harnesses] == [0, 0]
    ended = Task.objects.filter(role="worker")
    assert set(ended.values_list("state", "exit_code", "exit_signal")) == {(TaskState.EXITED, None, signal.SIGTERM)}
    assert not any((folder.root / "started").exists() for folder in folders.values())
