"""The run list: who sees what, filters and order in the address, and how many queries it takes."""

import datetime as dt
import html
import re

import pytest
from django.test import Client
from django.utils import timezone

from runs.models import Experiment
from runs.states import RunState
from tests.factories import make_run, make_user

FRAGMENT = {"HX-Request": "true"}


def titles(response) -> list[str]:
    return [html.unescape(title) for title in re.findall(r'class="run-link"[^>]*>([^<]*)<', response.content.decode())]


def test_an_empty_list_shows_how_to_begin(person):
    page = person.get("/").content.decode()
    assert "Train your first model here" in page
    assert 'href="/runs/new"' in page
    assert "data-live" not in page


def test_members_see_their_own_runs_and_administrators_see_all(person, member, admin):
    make_run(owner=member, name="mine")
    make_run(owner=make_user(), name="another's")
    assert titles(person.get("/runs/")) == ["mine"]
    client = Client()
    client.force_login(admin)
    page = client.get("/runs/")
    assert titles(page) == ["another's", "mine"]
    assert "Owner" in page.content.decode()
    assert "Owner" not in person.get("/runs/").content.decode()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=wide", ["wide net"]),
        ("q=WIDE+net", ["wide net"]),
        ("q=net+wide+nothing", []),
        ("q=größe", ["tagged"]),
        ("q=GRÖSSE", []),
        ("q=digits", ["tagged", "wide net"]),
        ("q=%23" + "2", ["tagged"]),
        ("q=%25", []),
        ("state=failed", ["tagged"]),
        ("state=active", ["wide net", "other"]),
        ("state=nonsense", []),
        ("state=active&q=wide", ["wide net"]),
    ],
)
def test_filters_stand_in_the_address(person, member, query, found):
    digits = Experiment.objects.create(owner=member, name="digits")
    make_run(owner=member, experiment=digits, name="wide net", state=RunState.RUNNING)
    make_run(owner=member, experiment=digits, name="tagged", state=RunState.FAILED, tags=["größe"])
    make_run(owner=member, name="other", state=RunState.WAITING)
    assert sorted(titles(person.get(f"/runs/?{query}"))) == sorted(found)


def test_the_experiment_filter_offers_only_what_the_person_may_see(person, member):
    mine = make_run(owner=member, name="mine").experiment
    foreign = make_run(owner=make_user(), name="foreign").experiment
    page = person.get("/runs/")
    assert mine.name in page.content.decode()
    assert foreign.name not in page.content.decode()
    assert titles(person.get(f"/runs/?experiment={mine.pk}")) == ["mine"]
    assert titles(person.get(f"/runs/?experiment={foreign.pk}")) == []


def test_columns_are_sorted_both_ways_with_runs_that_have_not_started_last(person, member):
    now = timezone.now()
    for name, minutes in (("long", 60), ("short", 1), ("middle", 10)):
        make_run(
            owner=member,
            name=name,
            state=RunState.COMPLETED,
            started_at=now - dt.timedelta(minutes=minutes),
            ended_at=now,
        )
    make_run(owner=member, name="waiting", state=RunState.WAITING)
    assert titles(person.get("/runs/?sort=-duration")) == ["long", "middle", "short", "waiting"]
    assert titles(person.get("/runs/?sort=duration")) == ["short", "middle", "long", "waiting"]
    assert titles(person.get("/runs/?sort=run")) == ["long", "short", "middle", "waiting"]
    assert titles(person.get("/runs/")) == ["waiting", "middle", "short", "long"]
    assert titles(person.get("/runs/?sort=nonsense")) == ["waiting", "middle", "short", "long"]
    assert 'aria-sort="descending"' in person.get("/runs/?sort=-duration").content.decode()


def test_twenty_five_runs_a_page_keep_the_filters_between_pages(person, member):
    experiment = Experiment.objects.create(owner=member, name="many")
    for index in range(27):
        make_run(owner=member, experiment=experiment, name=f"run {index}")
    first = person.get("/runs/?q=many")
    assert len(titles(first)) == 25
    assert re.search(r'href="\?[^"]*q=many[^"]*page=2|href="\?[^"]*page=2[^"]*q=many', first.content.decode())
    assert titles(person.get("/runs/?q=many&page=2")) == ["run 1", "run 0"]
    assert titles(person.get("/runs/?q=many&page=99")) == ["run 1", "run 0"]
    assert len(titles(person.get("/runs/?q=many&page=x"))) == 25


def test_only_a_list_with_active_runs_asks_for_itself_again(person, member):
    run = make_run(owner=member, state=RunState.RUNNING, progress={"epoch": 3, "epochs": 20})
    fragment = person.get("/runs/", headers=FRAGMENT).content.decode()
    assert fragment.lstrip().startswith('<div id="runs"')
    assert "data-live" in fragment
    assert "Epoch 3 of 20" in fragment
    type(run).objects.update(state=RunState.COMPLETED)
    assert "data-live" not in person.get("/runs/", headers=FRAGMENT).content.decode()


def test_what_people_type_is_shown_as_text(person, member):
    hostile = "<script>alert(1)</script>"
    make_run(owner=member, name=hostile, tags=['"><img src=x onerror=alert(1)>'], progress={"epoch": hostile})
    page = person.get(f"/runs/?q={hostile}").content.decode()
    assert "<script>alert" not in page
    assert "<img src=x" not in page


def test_the_number_of_queries_does_not_grow_with_the_runs(person, member, django_assert_num_queries):
    for _ in range(2):
        make_run(owner=member, state=RunState.RUNNING)
    with django_assert_num_queries(5):  # session, user, experiments of the filter, count, page
        person.get("/runs/")
    for _ in range(23):
        make_run(owner=member, state=RunState.RUNNING)
    with django_assert_num_queries(5):
        person.get("/runs/")
    with django_assert_num_queries(4):
        person.get("/runs/", headers=FRAGMENT)


@pytest.mark.parametrize(
    "query",
    [
        *("page=-1", "page=" + "9" * 5000, "page=x", "per_page=-1", "per_page=1000000000", "sort=owner__password"),
        *("q=" + "a" * 60_000, "q=" + "%25_" * 20_000, "q=%00", "experiment=" + "9" * 30, "state=%00"),
    ],
)
def test_no_address_breaks_the_list_or_makes_it_long(person, member, query):
    experiment = Experiment.objects.create(owner=member, name="many")
    for _ in range(30):
        make_run(owner=member, experiment=experiment)
    page = person.get(f"/runs/?{query}")
    assert page.status_code == 200
    assert len(titles(page)) <= 25
