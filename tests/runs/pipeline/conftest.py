"""A run on a machine that misbehaves on demand; the database, the stores and the queue's absence are real."""

from pathlib import Path

import pytest

from compute.plan import EnvironmentRef
from runs.models import Run
from runs.pipeline import advance
from runs.states import EnvironmentState, RunState
from tests.factories import make_environment, make_run, make_target
from tests.fakes import FakeBackend

MODULES = ("prepare", "launch", "watch", "finish")


@pytest.fixture
def backend(monkeypatch):
    fake = FakeBackend()
    for module in MODULES:
        monkeypatch.setattr(f"runs.pipeline.{module}.backend_of", lambda target: fake, raising=False)
    return fake


@pytest.fixture
def environment(db, monkeypatch):
    """An environment that is ready, whatever a run asks for."""
    found = make_environment(make_target(), state=EnvironmentState.READY, lock="six==1.17.0")
    monkeypatch.setattr("runs.pipeline.prepare.environment_request", lambda *_: found)
    monkeypatch.setattr("runs.pipeline.prepare.environment_is_intact", lambda environment: True)
    ref = EnvironmentRef(digest="0", python=Path("/usr/bin/python3"), path=Path("/usr"))
    monkeypatch.setattr("runs.pipeline.plan.environment_ref", lambda environment: ref)
    return found


@pytest.fixture
def run(environment, backend):
    """A run that has just been submitted to a target with one CPU slot."""
    return make_run()


@pytest.fixture
def running(run, backend):
    """A run whose script runs."""
    advance(run.pk)
    task = Run.objects.get(pk=run.pk).attempts.get().tasks.get()
    task.state = "running"
    task.save(update_fields=["state"])
    advance(run.pk)
    fresh = Run.objects.get(pk=run.pk)
    assert fresh.state == RunState.RUNNING
    return fresh
