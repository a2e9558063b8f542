"""The rendezvous: who takes part tells where it is, is told where all are, and cannot change it afterwards."""

import threading

import pytest

from compute.models import Node
from runs.ingest import facts
from runs.ingest.errors import FrameRefused
from runs.ingest.frame import parse
from runs.ingest.receive import receive
from runs.ingest.tokens import task_token
from runs.models import Task
from runs.states import RunState, TaskState
from tests.factories import make_run, make_task
from tests.runs.ingest.wire_calls import frame, post

ROLES = (("worker", 0), ("worker", 1), ("ps", 0))


@pytest.fixture
def rung(monkeypatch):
    calls = {"ring": [], "advance": []}
    monkeypatch.setattr("runs.ingest.receive.ring", calls["ring"].append)
    monkeypatch.setattr("runs.ingest.receive.enqueue_advance", calls["advance"].append)
    return calls


@pytest.fixture
def tasks(db, rung):
    """Two workers and a server that meet, and a launcher of the same attempt that does not."""
    run = make_run(state=RunState.STARTING)
    node = Node.objects.get(target=run.target)
    meeting = [
        make_task(run, role=role, index=index, state=TaskState.STARTING, node=node, meets=True) for role, index in ROLES
    ]
    return [*meeting, make_task(run, role="launcher", state=TaskState.STARTING, node=node)]


def meet(task, port, address="127.0.0.1"):
    return receive(task.pk, parse(frame(meet={"address": address, "port": port})))


def state_of(task):
    return Task.objects.get(pk=task.pk).state


def forget(tasks):
    for task in tasks:
        facts.forget(task.pk)


COMPLETE = [
    {"member": "worker-0", "address": "127.0.0.1", "port": 20001},
    {"member": "worker-1", "address": "127.0.0.1", "port": 20002},
    {"member": "ps-0", "address": "127.0.0.1", "port": 20003},
]


def complete(tasks):
    """Lets all meet, the last first; the last answer."""
    for task, port in ((tasks[2], 20003), (tasks[1], 20002), (tasks[0], 20001)):
        answer = meet(task, port)
    return answer


@pytest.mark.django_db
def test_the_cluster_is_told_in_launch_order_once_all_have_met(tasks, rung):
    assert meet(tasks[2], 20003).cluster is None
    assert meet(tasks[1], 20002).cluster is None
    assert meet(tasks[0], 20001).cluster == COMPLETE
    assert meet(tasks[2], 20003).cluster == COMPLETE
    assert len(rung["ring"]) >= 3


@pytest.mark.django_db
def test_a_task_without_a_port_counts_once_it_has_come(tasks):
    meet(tasks[0], 20001)
    meet(tasks[1], None)
    assert meet(tasks[2], 20003).cluster[1] == {"member": "worker-1", "address": "127.0.0.1", "port": None}


@pytest.mark.django_db
def test_meeting_starts_nothing_and_keeps_the_heart_beating(tasks, rung):
    complete(tasks)
    forget(tasks)
    meet(tasks[0], 20001)
    assert [state_of(task) for task in tasks[:3]] == [TaskState.STARTING] * 3
    assert Task.objects.get(pk=tasks[0].pk).heartbeat_at is not None
    assert rung["advance"] == []


@pytest.mark.django_db
def test_the_first_frame_after_the_meeting_makes_the_task_run(tasks):
    complete(tasks)
    receive(tasks[0].pk, parse(frame()))
    assert state_of(tasks[0]) == TaskState.RUNNING
    assert state_of(tasks[1]) == TaskState.STARTING


@pytest.mark.django_db
def test_words_of_a_task_that_still_waits_do_not_make_it_run(tasks):
    meet(tasks[0], 20001)
    receive(tasks[0].pk, parse(frame(("harness", 0, b"Waiting for the others.\n"))))
    assert state_of(tasks[0]) == TaskState.STARTING


@pytest.mark.django_db
def test_a_task_that_is_stopped_while_it_waits_ends(tasks):
    meet(tasks[0], 20001)
    receive(tasks[0].pk, parse(frame(exit={"code": None, "signal": 15, "ended_at": 1.0})))
    assert state_of(tasks[0]) == TaskState.EXITED


@pytest.mark.django_db
def test_a_task_may_come_again_from_elsewhere_until_all_have_met(tasks):
    meet(tasks[0], 20009)
    meet(tasks[0], 20001)
    meet(tasks[1], 20002)
    assert meet(tasks[2], 20003).cluster == COMPLETE


@pytest.mark.django_db
def test_a_script_that_meets_once_more_changes_nothing(tasks):
    complete(tasks)
    assert meet(tasks[0], 6666).cluster == COMPLETE
    assert Task.objects.get(pk=tasks[0].pk).meeting == {"address": "127.0.0.1", "port": 20001}


@pytest.mark.django_db
def test_the_same_words_again_write_nothing(tasks, django_assert_num_queries):
    meet(tasks[0], 20001)
    with django_assert_num_queries(2) as seen:
        meet(tasks[0], 20001)
    assert all(query["sql"].startswith("SELECT") for query in seen.captured_queries)


@pytest.mark.django_db
def test_another_attempt_meets_by_itself(tasks):
    complete(tasks)
    again = tasks[0].attempt.run.attempts.create(number=2)
    other = Task.objects.create(attempt=again, role="worker", index=0, node=tasks[0].node, meets=True)
    Task.objects.create(attempt=again, role="worker", index=1, node=tasks[0].node, meets=True)
    assert meet(other, 20077).cluster is None


@pytest.mark.django_db
def test_a_task_that_has_nobody_to_meet_is_refused(tasks):
    with pytest.raises(FrameRefused, match="launcher 0 has nobody to meet"):
        meet(tasks[3], 20001)


@pytest.mark.django_db
def test_an_address_that_is_not_the_nodes_is_refused(tasks):
    with pytest.raises(FrameRefused, match=r"meets at '10\.9\.9\.9'; its node is at '127\.0\.0\.1'"):
        meet(tasks[0], 20001, address="10.9.9.9")
    assert Task.objects.get(pk=tasks[0].pk).meeting is None


@pytest.mark.parametrize(
    "said",
    [
        3,
        [],
        "127.0.0.1:20001",
        {},
        {"address": "127.0.0.1", "port": 0},
        {"address": "127.0.0.1", "port": 65536},
        {"address": "127.0.0.1", "port": -1},
        {"address": "127.0.0.1", "port": 2**80},
        {"address": "127.0.0.1", "port": "20001"},
        {"address": "127.0.0.1", "port": True},
        {"address": "127.0.0.1", "port": 20001.5},
        {"address": "", "port": 20001},
        {"address": None, "port": 20001},
        {"address": ["127.0.0.1"], "port": 20001},
        {"address": "127.0.0.1\n", "port": 20001},
        {"address": "a" * 500_000, "port": 20001},
        {"address": "127.0.0.1,10.0.0.1", "port": 20001},
        {"address": "<script>", "port": 20001},
    ],
)
def test_a_hostile_meeting_is_refused_in_words(said):
    with pytest.raises(FrameRefused, match=r"to meet at|'meet'") as refused:
        parse(frame(meet=said))
    assert len(str(refused.value)) < 300


@pytest.mark.django_db(transaction=True)
def test_the_wire_carries_the_cluster_to_those_who_meet_alone(tasks):
    def say(task, **head):
        status, answer, _ = post(frame(**head), task_token(task.pk))
        assert status == 200
        return answer

    assert say(tasks[0], meet={"address": "127.0.0.1", "port": 20001})["cluster"] is None
    say(tasks[1], meet={"address": "127.0.0.1", "port": 20002})
    assert say(tasks[2], meet={"address": "127.0.0.1", "port": 20003})["cluster"] == COMPLETE
    assert "cluster" not in say(tasks[0])
    assert post(frame(meet={"address": "127.0.0.1", "port": 1}), task_token(tasks[3].pk))[0] == 422


@pytest.mark.django_db(transaction=True)
def test_tasks_that_meet_at_the_same_instant_are_all_told_the_same(tasks):
    """One of them keeps changing its mind: whatever is told first stays."""
    told = []

    def come(task, ports):
        for port in ports:
            _, answer, _ = post(frame(meet={"address": "127.0.0.1", "port": port}), task_token(task.pk))
            told.append(answer["cluster"])

    plans = [(tasks[0], range(21000, 21020)), (tasks[1], [20002] * 10), (tasks[2], [20003] * 10)]
    threads = [threading.Thread(target=come, args=plan) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clusters = [cluster for cluster in told if cluster is not None]
    assert clusters
    assert all(cluster == clusters[0] for cluster in clusters)
