"""The pages of environments in a real browser: reachable by everyone, light and dark, wide and narrow."""

import pytest
from playwright.sync_api import expect

from runs.models import Environment, Run, Stream
from runs.states import EnvironmentState, RunState
from runs.stores.logs import log_write
from tests.factories import make_environment, make_run
from tests.runs.pages.test_browser import (
    NARROW,
    WIDE,
    assert_accessible,
    assert_no_sideways_scrolling,
    browser,  # noqa: F401
    enter,  # noqa: F401
    house,  # noqa: F401
)
from tests.runs.pages.test_environments import HASH, spec

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.django_db(transaction=True)]

LONG = "a-package-with-a-name-that-is-far-too-long-for-any-narrow-column-of-a-phone"


@pytest.fixture
def stock(member, local) -> list[Environment]:
    """An environment in every state, used by the member's runs, two of them with locks that differ."""
    made = []
    for number, state in enumerate([*EnvironmentState.values, "ready"]):
        environment = make_environment(
            local,
            spec=spec("scikit-learn", "pandas>=2", LONG),
            state=state,
            error="The package index has no package 'pandsa'." if state == "failed" else "",
            lock="".join(f"package-{each}==1.{number}{HASH}" for each in range(60)) if state != "requested" else "",
            python_version="3.11.4",
            size_bytes=2_000_000_000,
            path="/nowhere" if state == "ready" else "",
            build_count=2,
        )
        log_write(Stream.objects.create(environment=environment, name="build").pk, b"a line of the build\n" * 60)
        make_run(owner=member, target=local, environment=environment, name="first", state=RunState.COMPLETED)
        made.append(environment)
    return made


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_of_environments_are_accessible_and_fit_a_phone(enter, member, stock, theme):  # noqa: F811
    type(member).objects.filter(pk=member.pk).update(is_staff=True)
    page = enter("/environments/?q=nothing-like-it", color_scheme=theme)
    paths = ["/environments/", "/environments/frameworks/", f"/environments/{stock[0].pk}/delete/"]
    paths += [f"/environments/{each.pk}/?compare={stock[-1].pk}" for each in stock]
    for path in ["", *paths]:
        if path:
            page.goto(path)
        assert_accessible(page)
        page.set_viewport_size(NARROW)
        assert_no_sideways_scrolling(page)
        page.set_viewport_size(WIDE)
    Run.objects.all().delete()
    Environment.objects.all().delete()
    page.goto("/environments/")
    assert_accessible(page)


def test_a_build_is_watched_to_its_end(enter, member, local):  # noqa: F811
    environment = make_environment(local, spec=spec("pandas"), state=EnvironmentState.BUILDING)
    make_run(owner=member, target=local, environment=environment)
    stream = Stream.objects.create(environment=environment, name="build")
    log_write(stream.pk, b"line\n" * 100)
    page = enter(environment.get_absolute_url())
    log = page.locator("#build-log")
    log_write(stream.pk, b"the next line\n")
    expect(log).to_contain_text("the next line")
    at_end = "box => box.scrollHeight - box.scrollTop - box.clientHeight < 2"
    assert log.evaluate(at_end)
    log.evaluate("box => { box.scrollTop = 40; }")
    log_write(stream.pk, b"one more\n")
    expect(log).to_contain_text("one more")
    assert log.evaluate("box => box.scrollTop") == 40
    Environment.objects.update(state=EnvironmentState.FAILED, error="Package 'pandsa' is missing.")
    expect(page.get_by_role("heading", name="The build failed")).to_be_visible()
    expect(page.locator(".run-title .state")).to_have_text("Failed")


def test_choosing_an_environment_compares_with_it(enter, stock):  # noqa: F811
    page = enter(f"/environments/{stock[-1].pk}/")
    page.get_by_label("Compared with").select_option(str(stock[1].pk))
    page.wait_for_url(f"**compare={stock[1].pk}**")
    expect(page.locator(".changes tbody tr")).to_have_count(60)
