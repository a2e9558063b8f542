"""Asking for a run's end."""

import pytest

from runs.errors import NotNow
from runs.models import Run
from runs.services import run_cancel
from runs.states import EndReason, RunState
from tests.factories import make_run

pytestmark = pytest.mark.django_db


def test_asking_twice_is_asking_once(admin):
    run = make_run(state=RunState.RUNNING)
    run_cancel(run, actor=admin)
    run_cancel(run, actor=admin)
    assert Run.objects.get(pk=run.pk).cancel_requested_at is not None
    assert [(event.kind, event.actor) for event in run.events.all()] == [("cancel", admin)]


def test_a_run_that_is_stopping_already_is_left_to_its_reason(admin):
    run = make_run(state=RunState.STOPPING, end_reason=EndReason.SUCCEEDED)
    run_cancel(run, actor=admin)
    assert Run.objects.get(pk=run.pk).cancel_requested_at is None


def test_a_run_that_has_ended_says_so(admin):
    run = make_run(state=RunState.COMPLETED, end_reason=EndReason.SUCCEEDED)
    with pytest.raises(NotNow, match="has ended already: it is completed"):
        run_cancel(run, actor=admin)
