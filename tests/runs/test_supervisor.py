"""The supervisor's rounds: what is due comes back, whatever became of the hints."""

from datetime import timedelta

import pytest
from django.utils import timezone

from runs.environments.build import environment_lock
from runs.models import Environment, Run
from runs.states import EndReason, EnvironmentState, RunState
from runs.supervisor.loop import Round
from runs.supervisor.rounds import announce_server, enqueue_builds, enqueue_due, renew_deadlines
from tests.factories import make_environment, make_run, make_target, make_task

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked(monkeypatch):
    found: list[int] = []
    monkeypatch.setattr("runs.supervisor.rounds.enqueue_advance", found.append)
    return found


def test_a_run_whose_time_has_come_is_asked_for_once_a_while(asked):
    run = make_run(state=RunState.RUNNING, due_at=timezone.now() - timedelta(seconds=1))
    enqueue_due()
    enqueue_due()
    assert asked == [run.pk]
    assert Run.objects.get(pk=run.pk).due_at > timezone.now()


def test_runs_that_are_not_due_or_have_ended_are_left_alone(asked):
    past = timezone.now() - timedelta(seconds=1)
    make_run(state=RunState.RUNNING, due_at=timezone.now() + timedelta(seconds=60))
    make_run(state=RunState.COMPLETED, end_reason=EndReason.SUCCEEDED, due_at=past)
    assert enqueue_due() == 0
    assert asked == []


def test_a_deadline_that_passed_while_the_platform_was_down_begins_anew():
    now = timezone.now()
    late = make_run(state=RunState.STARTING, deadline_at=now - timedelta(hours=9))
    early = make_run(state=RunState.STARTING, deadline_at=now + timedelta(seconds=5))
    make_run(state=RunState.RUNNING)
    assert renew_deadlines() == 1
    assert Run.objects.get(pk=late.pk).deadline_at > now + timedelta(seconds=60)
    assert Run.objects.get(pk=early.pk).deadline_at == early.deadline_at


def test_a_round_that_fails_is_taken_again():
    taken = []

    def act() -> None:
        taken.append(1)
        raise OSError("no luck")

    one = Round("test", 0.0, act)
    one.take()
    one.take()
    assert len(taken) == 2


def test_a_task_that_cannot_be_told_the_address_does_not_keep_it_from_the_others(monkeypatch):
    told = []

    class Backend:
        def announce(self, handle, server_url):
            told.append(handle.key)
            raise IsADirectoryError(21, "Is a directory", "server")

    monkeypatch.setattr("runs.supervisor.rounds.backend_of", lambda target: Backend())
    for key in ("first", "second"):
        make_task(make_run(state=RunState.RUNNING), handle={"key": key, "node": "node", "native": {}})
    announce_server()
    assert sorted(told) == ["first", "second"]


@pytest.fixture
def ordered(monkeypatch):
    found: list[int] = []
    monkeypatch.setattr("runs.supervisor.rounds.enqueue_build", found.append)
    return found


def make_order(state: EnvironmentState, *, minutes: int, begun_minutes: int | None = None) -> Environment:
    """An environment that was ordered so long ago, and got its state then or later."""
    now = timezone.now()
    made = make_environment(make_target(), state=state, last_used_at=now - timedelta(minutes=minutes))
    since = now - timedelta(minutes=minutes if begun_minutes is None else begun_minutes)
    Environment.objects.filter(pk=made.pk).update(state_since=since)
    made.refresh_from_db()
    return made


def test_what_was_ordered_ahead_of_any_run_is_asked_for_again_when_nobody_builds_it(ordered):
    lost = make_order(EnvironmentState.REQUESTED, minutes=10)
    killed = make_order(EnvironmentState.BUILDING, minutes=9)
    make_order(EnvironmentState.REQUESTED, minutes=1)
    make_order(EnvironmentState.FAILED, minutes=10)
    make_run(state=RunState.PREPARING, environment=make_order(EnvironmentState.REQUESTED, minutes=10))
    built = make_order(EnvironmentState.BUILDING, minutes=10)
    with environment_lock(built):
        assert enqueue_builds() == 2
    assert ordered == [lost.pk, killed.pk]


def test_an_order_that_never_comes_to_its_end_is_given_up(ordered):
    hours = 60 * 7
    killed = make_order(EnvironmentState.BUILDING, minutes=hours, begun_minutes=10)
    built = make_order(EnvironmentState.BUILDING, minutes=hours)
    with environment_lock(built):
        assert enqueue_builds() == 0
    killed.refresh_from_db()
    built.refresh_from_db()
    assert (killed.state, built.state) == (EnvironmentState.FAILED, EnvironmentState.BUILDING)
    assert killed.error.startswith("Its build was interrupted")
    assert ordered == []
