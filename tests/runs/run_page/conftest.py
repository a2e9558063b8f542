"""What the tests of the run page share: someone signed in, and a run with everything in it."""

import time
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from runs.models import Artifact, Run, RunEvent, Stream, Task
from runs.states import RunState, TaskState
from runs.stores.logs import log_write
from runs.stores.points import points_append
from tests.factories import make_environment, make_run, make_stream, make_target, make_task, make_user


@dataclass(frozen=True)
class FullRun:
    """A run of ``owner`` with a task, two logs, curves, samples, a file and an event."""

    run: Run
    task: Task
    output: Stream


@pytest.fixture
def owner(db) -> User:
    return make_user(username="ada")


@pytest.fixture
def page(owner: User) -> Client:
    """The owner's browser, without JavaScript."""
    client = Client()
    client.force_login(owner)
    return client


@pytest.fixture
def full(owner: User) -> FullRun:
    return fill(make_started_run(owner=owner))


def make_started_run(*, owner: User, state: str = RunState.RUNNING, **fields) -> Run:
    target = make_target()
    now = timezone.now()
    return make_run(
        owner=owner,
        target=target,
        environment=make_environment(target, python_version="3.11.9", lock="keras==3.10.0\nnumpy==2.1.3\n"),
        state=state,
        started_at=now - timedelta(seconds=90),
        tags=["baseline"],
        progress={"epoch": 3, "epochs": 20, "batch": 10, "batches": 20, "eta_s": 41.5},
        **fields,
    )


def fill(run: Run) -> FullRun:
    task = make_task(run, state=TaskState.RUNNING, started_at=run.started_at)
    output, notes = make_stream(task), make_stream(task, "harness")
    log_write(output.pk, b"first line\n\x1b[31msecond line\x1b[0m\nthird, unfinished")
    log_write(notes.pk, b"the script was started\n")
    at = time.time() - 60
    points_append(
        run_id=run.pk,
        task_id=task.pk,
        points={
            ("metric", "loss"): [(1, at, 0.9), (2, at + 1, 0.5), (3, at + 2, 0.25)],
            ("metric", "val_loss"): [(1, at, 1.0), (2, at + 1, float("nan")), (3, at + 2, 0.5)],
            ("metric", "batch/loss"): [(n, at + n, 1 / (n + 1)) for n in range(50)],
            ("system", "cpu_percent"): [(n, at + n, 150.0) for n in range(5)],
            ("system", "gpu0_percent"): [(n, at + n, 80.0) for n in range(5)],
            ("system", "gpu1_percent"): [(n, at + n, 70.0) for n in range(5)],
        },
    )
    Artifact.objects.create(run=run, task=task, path="outputs/model.keras", size_bytes=2048, modified_at=at)
    RunEvent.objects.create(run=run, kind="running", message="The script is running.", actor=run.owner)
    return FullRun(run=run, task=task, output=output)
