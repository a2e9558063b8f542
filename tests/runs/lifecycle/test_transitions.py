"""The one writer of a run's state."""

import itertools

import pytest
from django.db import transaction

from runs.errors import StaleRun
from runs.lifecycle import run_transition
from runs.models import Run
from runs.states import ACTIVE, FINAL, FINAL_STATE, TRANSITIONS, EndReason, RunState
from tests.factories import make_run

pytestmark = pytest.mark.django_db

WAYS = [(source, to) for source, targets in TRANSITIONS.items() for to in targets]
NO_WAYS = [(a, b) for a, b in itertools.product(RunState.values, RunState.values) if b not in TRANSITIONS[a]]


def _reason(to: str) -> EndReason | None:
    return EndReason.SUCCEEDED if to == RunState.STOPPING else None


@pytest.mark.parametrize(("source", "to"), [way for way in WAYS if way[1] not in FINAL])
def test_every_way_of_the_table_is_open_and_leaves_an_event(source, to):
    run = make_run(state=source)
    run_transition(run, to=to, message="on it goes", reason=_reason(to))
    fresh = Run.objects.get(pk=run.pk)
    assert fresh.state == run.state == to
    assert list(fresh.events.values_list("kind", "message")) == [(to, "on it goes")]
    assert fresh.due_at is not None


@pytest.mark.parametrize(("source", "to"), NO_WAYS)
def test_no_other_way_is_open(source, to):
    run = make_run(state=source)
    with pytest.raises(ValueError, match="cannot go from"):
        run_transition(run, to=to, message="never", reason=_reason(to))
    assert Run.objects.get(pk=run.pk).state == source
    assert not run.events.exists()


@pytest.mark.parametrize("reason", EndReason.values)
def test_the_final_state_follows_from_the_reason_alone(reason):
    run = make_run(state=RunState.STOPPING, end_reason=reason)
    for wrong in set(FINAL) - {FINAL_STATE[reason]}:
        with pytest.raises(ValueError, match="becomes"):
            run_transition(run, to=wrong, message="no")
    run_transition(run, to=FINAL_STATE[reason], message="the end")
    fresh = Run.objects.get(pk=run.pk)
    assert fresh.is_final
    assert fresh.ended_at is not None
    assert fresh.due_at is None


def test_of_two_processes_one_moves_the_run_and_the_other_is_told():
    run = make_run(state=RunState.RUNNING)
    other = Run.objects.get(pk=run.pk)
    run_transition(run, to=RunState.STOPPING, reason=EndReason.SUCCEEDED, message="first")
    with pytest.raises(StaleRun):
        run_transition(other, to=RunState.STOPPING, reason=EndReason.CANCELLED, message="second")
    assert Run.objects.get(pk=run.pk).end_reason == EndReason.SUCCEEDED
    assert run.events.count() == 1


def test_a_transition_that_is_rolled_back_leaves_no_event():
    run = make_run(state=RunState.RUNNING)

    def move_and_fail() -> None:
        with transaction.atomic():
            run_transition(run, to=RunState.STOPPING, reason=EndReason.SUCCEEDED, message="gone")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        move_and_fail()
    assert Run.objects.get(pk=run.pk).state == RunState.RUNNING
    assert not run.events.exists()


def test_stopping_needs_a_reason_and_nothing_else_takes_one():
    run = make_run(state=RunState.RUNNING)
    with pytest.raises(ValueError, match="reason"):
        run_transition(run, to=RunState.STOPPING, message="why?")
    waiting = make_run(state=RunState.WAITING)
    with pytest.raises(ValueError, match="reason"):
        run_transition(waiting, to=RunState.STARTING, message="why?", reason=EndReason.SUCCEEDED)


def test_every_active_state_can_be_stopped_and_every_reason_has_an_end():
    assert all(RunState.STOPPING in TRANSITIONS[state] for state in ACTIVE if state != RunState.STOPPING)
    assert set(FINAL_STATE) == set(EndReason)
    assert set(FINAL_STATE.values()) == set(FINAL)
