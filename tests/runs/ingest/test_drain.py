"""A task that cannot speak: its spool is read through its backend into the same stores."""

import json

import pytest

from compute.plan import Liveness, TaskStatus
from runs.ingest.drain import task_drain
from runs.ingest.frame import parse
from runs.ingest.receive import receive
from runs.models import Series, Stream, Task
from runs.states import RunState
from runs.stores.logs import log_read
from runs.stores.points import series_points
from tests.factories import make_run, make_task
from tests.fakes import FakeBackend
from tests.runs.ingest.wire_calls import frame

pytestmark = pytest.mark.django_db


def points(numbers):
    return b"".join(json.dumps({"k": "point", "n": "loss", "v": number}).encode() + b"\n" for number in numbers)


@pytest.fixture
def task(db, monkeypatch):
    monkeypatch.setattr("runs.ingest.receive.ring", lambda run_id: None)
    monkeypatch.setattr("runs.ingest.receive.enqueue_advance", lambda run_id: None)
    task = make_task(make_run(state=RunState.RUNNING))
    task.handle = {"key": task.key, "node": "node", "native": {}}
    task.save(update_fields=["handle"])
    return task


@pytest.fixture
def backend(task):
    fake = FakeBackend()
    fake.spools[task.key] = {
        "output": b"a line\n" * 300_000 + b"and no newline",
        "points": points(range(100)) + b'{"k": "torn',
        "harness": b"blocked\n",
        "samples": b"",
    }
    return fake


def output_of(task):
    return log_read(Stream.objects.get(task=task, name="output").pk, offset=0, size=1 << 30)


def values():
    return series_points(Series.objects.get()).values.tolist()


def test_everything_comes_home_and_the_task_is_drained(task, backend):
    backend.end(task.key, code=0)
    assert task_drain(task, backend)
    assert output_of(task) == backend.spools[task.key]["output"]
    assert values() == list(range(100))
    assert Task.objects.get().is_drained
    assert task_drain(task, backend)


def test_what_the_harness_sent_before_is_not_taken_again(task, backend):
    receive(task.pk, parse(frame(("output", 0, b"a line\n" * 10), ("points", 0, points(range(7))))))
    backend.end(task.key, code=0)
    assert task_drain(task, backend)
    assert output_of(task) == backend.spools[task.key]["output"]
    assert values() == list(range(100))


def test_a_living_task_is_read_and_not_closed(task, backend):
    backend.statuses[task.key] = TaskStatus(liveness=Liveness.ALIVE)
    assert not task_drain(task, backend)
    assert values() == list(range(100))
    backend.spools[task.key]["output"] += b"\nmore"
    backend.end(task.key, code=0)
    assert task_drain(task, backend)
    assert output_of(task).endswith(b"and no newline\nmore")


def test_a_large_spool_is_read_in_steps(task, backend):
    backend.end(task.key, code=0)
    steps = 0
    while not task_drain(task, backend, step_s=0.0):
        steps += 1
        assert steps < 20
    assert steps >= 2
    assert output_of(task) == backend.spools[task.key]["output"]


def test_a_task_without_a_folder_is_over_with_what_is_here(task, backend):
    receive(task.pk, parse(frame(("output", 0, b"what came before\n"))))
    backend.spools.clear()
    assert task_drain(task, backend)
    assert output_of(task) == b"what came before\n"
    assert Task.objects.get().is_drained


def test_a_task_that_was_never_launched_is_drained_at_once(task, backend):
    backend.spools.clear()
    task.handle = None
    assert task_drain(task, backend)
    assert Task.objects.get().is_drained


def test_a_spool_full_of_holes_fills_nothing_beyond_the_limit_of_logs(task, backend, settings):
    changed = {name: getattr(settings.ENV, name) for name in settings.ENV.__slots__} | {"log_limit_bytes": 1_000_000}
    settings.ENV = settings.ENV.__class__(**changed)
    backend.spools[task.key]["output"] = bytes(5_000_000)
    backend.end(task.key, code=0)
    assert task_drain(task, backend)
    assert output_of(task) == bytes(1_000_000)
