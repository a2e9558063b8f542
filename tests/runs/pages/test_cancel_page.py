"""Cancelling from a page."""

import pytest

from runs.models import Run
from runs.states import RunState
from tests.factories import make_run, make_user


@pytest.fixture
def run(member) -> Run:
    return make_run(owner=member, name="long one", state=RunState.RUNNING)


def test_without_scripts_a_page_asks_first(person, run):
    page = person.get(f"/runs/{run.pk}/cancel/").content.decode()
    assert "Cancel long one?" in page
    run.refresh_from_db()
    assert run.cancel_requested_at is None


def test_a_post_cancels_and_goes_back_to_where_it_was_asked(person, run):
    assert person.post(f"/runs/{run.pk}/cancel/").url == f"/runs/{run.pk}/"
    run.refresh_from_db()
    assert run.cancel_requested_at is not None
    assert person.post(f"/runs/{run.pk}/cancel/", {"next": "/runs/?q=x"}).url == "/runs/?q=x"
    assert person.post(f"/runs/{run.pk}/cancel/", {"next": "https://evil.example/"}).url == f"/runs/{run.pk}/"


def test_a_run_that_has_ended_is_said_to_have_ended(person, member):
    run = make_run(owner=member, state=RunState.COMPLETED)
    page = person.post(f"/runs/{run.pk}/cancel/", {"next": "/runs/"}, follow=True).content.decode()
    assert "has ended already" in page


@pytest.mark.parametrize("method", ["get", "post"])
def test_another_persons_run_is_as_good_as_absent(person, method):
    run = make_run(owner=make_user(), state=RunState.RUNNING)
    assert getattr(person, method)(f"/runs/{run.pk}/cancel/").status_code == 404
    run.refresh_from_db()
    assert run.cancel_requested_at is None
