"""The example of ``make demo``: submitted once, however often the platform starts meanwhile."""

import pytest

from config.up.demo import demo_submit
from config.up.errors import StartRefused
from runs.models import Run
from runs.states import EndReason, RunState
from tests.factories import make_target

pytestmark = pytest.mark.django_db


def test_the_example_is_submitted_again_only_when_it_has_ended(admin):
    make_target(name="local")
    first, is_new = demo_submit()
    assert is_new
    assert demo_submit() == (first, False)
    Run.objects.filter(pk=first.pk).update(state=RunState.COMPLETED, end_reason=EndReason.SUCCEEDED)
    second, is_new = demo_submit()
    assert is_new
    assert second != first


def test_the_example_needs_an_administrator(member):
    with pytest.raises(StartRefused, match="make run"):
        demo_submit()
