"""The form asks the index for its packages while it is filled in: the fragment, and in a real browser."""

import json
import re
import threading

import pytest
from playwright.sync_api import expect

from compute.registry import backend_of
from runs.environments.checker import Checker
from runs.environments.conda.reach import ChannelAnswer
from runs.environments.foresight import Finding, Outcome, packages_foresee
from runs.environments.request import environment_spec, spec_digest
from runs.models import Environment, FrameworkVersion, Run
from runs.spec import RunSpec
from runs.states import EnvironmentState
from tests.e2e.house import wait_for
from tests.factories import make_environment
from tests.runs.environments.conftest import index  # noqa: F401
from tests.runs.environments.index import Index
from tests.runs.pages.conftest import zip_file
from tests.runs.pages.test_browser import (
    NARROW,
    WIDE,
    assert_accessible,
    assert_no_sideways_scrolling,
    browser,  # noqa: F401
    enter,  # noqa: F401
    house,  # noqa: F401
)

FIELDS = {"compute_target": "local", "entry_script": "train.py", "source": "upload"}
CHECK = "/runs/new/check"


def answer_of(person, **fields: str) -> str:
    """The fragment once the check has ended."""
    page = person.post(CHECK, {**FIELDS, **fields}).content.decode()

    def ended() -> str:
        poll = re.search(r'hx-get="([^"]+)"', page)
        if poll is None:
            return page
        found = person.get(poll[1]).content.decode()
        return found if "is-checking" not in found else ""

    return wait_for(ended, timeout_s=30, what="the end of the check")


@pytest.fixture
def finding(monkeypatch):
    """``finding(Finding(...))``: what a check finds."""

    def set_it(found: Finding) -> None:
        monkeypatch.setattr("runs.services.checking.packages_foresee", lambda canonical, backend: found)

    return set_it


def test_what_was_found_is_said(person, local, finding):
    finding(Finding(outcome=Outcome.FOUND, sentence="All packages can be had.", remarks=("Not checked: b.",)))
    page = answer_of(person, pip_packages="a\nb")
    assert "All packages can be had." in page
    assert "Not checked: b." in page
    assert "hx-get" not in page
    assert "hx-post" not in page


def test_no_channel_is_asked_for_somebody_who_asks_all_the_time(person, local, monkeypatch):
    monkeypatch.setattr("runs.environments.checker.MOST_ASKED_A_MINUTE", 3)
    monkeypatch.setattr("runs.services.checking._checker", Checker())
    asked = []

    def reach(backend, python, channels):
        asked.append(channels)
        return [ChannelAnswer(address=channels[0], is_there=False, is_absent=True, reason="it answers 404")]

    monkeypatch.setattr("runs.environments.conda.reach._asked", reach)
    pages = [
        person.post(CHECK, {**FIELDS, "conda_packages": "numpy", "conda_channels": f"mine-{n}"}).content.decode()
        for n in range(5)
    ]
    assert len(asked) == 3
    assert "wait a minute" in pages[-1]


def test_what_cannot_be_had_is_a_warning_and_can_be_submitted(person, local, finding, answers):
    finding(Finding(outcome=Outcome.IMPOSSIBLE, sentence="The package index has no package 'pandsa'."))
    page = answer_of(person, pip_packages="pandsa")
    assert "no package &#x27;pandsa&#x27;" in page
    assert "You can submit all the same" in page
    assert person.post("/runs/new", answers(pip_packages="pandsa")).status_code == 302
    assert Run.objects.count() == 1


def test_while_it_is_checked_the_page_asks_again_and_a_lost_check_begins_anew(person, local, monkeypatch):
    going = threading.Event()
    found = Finding(outcome=Outcome.FOUND, sentence="fine")
    monkeypatch.setattr("runs.services.checking.packages_foresee", lambda *_: going.wait(20) and found)
    page = person.post(CHECK, FIELDS).content.decode()
    assert "Checking the packages against the index" in page
    poll = re.search(r'hx-get="([^"]+)"', page)[1]
    assert "is-checking" in person.get(poll).content.decode()
    going.set()
    wait_for(lambda: "fine" in person.get(poll).content.decode(), timeout_s=10, what="the answer")
    for gone in (f"{CHECK}?digest=" + "0" * 64, CHECK, f"{CHECK}?digest=%00"):
        assert 'hx-post="/runs/new/check" hx-trigger="load delay:2000ms"' in person.get(gone).content.decode()


def test_an_environment_that_was_built_is_named_at_once(person, local, open_folder):
    canonical = environment_spec(RunSpec(pip_packages=("colorama",)), backend_of(local))
    digest = spec_digest(canonical)
    python = open_folder / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    (open_folder / ".trainhouse-ready.json").write_text(json.dumps({"digest": digest}))
    place = {"path": str(open_folder), "python_version": "3.11.4", "lock": "tensorflow-cpu==2.21.0\n"}
    make_environment(local, digest=digest, wishes=digest, spec=canonical, **place)
    page = person.post(CHECK, {**FIELDS, "pip_packages": "colorama"}).content.decode()
    assert "is-ready" in page
    assert "TensorFlow 2.21.0 + colorama, for Python 3.11. The environment is there" in page
    python.unlink()
    gone = person.post(CHECK, {**FIELDS, "pip_packages": "colorama"}).content.decode()
    assert "is-ready" not in gone
    assert "installed again by its lock" in gone
    Environment.objects.update(state=EnvironmentState.FAILED, lock="")
    assert "lock" not in person.post(CHECK, {**FIELDS, "pip_packages": "colorama"}).content.decode()


@pytest.mark.parametrize(
    "fields",
    [
        {"pip_packages": "not a package !"},
        {"pip_packages": "x @ https://u:p@x.example/x.whl"},
        {"compute_target": "elsewhere"},
        {"compute_target": ""},
        {"pip_packages": "a\0b"},
        {"framework_version": "0.1"},
    ],
)
def test_nothing_is_checked_where_the_form_has_problems(person, local, fields):
    page = person.post(CHECK, {**FIELDS, **fields})
    assert page.status_code == 200
    assert "is-checking" not in page.content.decode()


def test_a_version_without_a_python_on_the_machine_is_named_at_once(person, local):
    FrameworkVersion.objects.create(version="2.99.0", pythons="3.99", keras=3)
    page = person.post(CHECK, {**FIELDS, "framework_version": "2.99.0"}).content.decode()
    assert "is-impossible" in page
    assert "TensorFlow 2.99.0 needs Python 3.99 on the machine" in page


def test_a_file_is_checked_once_it_is_here(person, local, answers, monkeypatch):
    asked = []
    fine = Finding(outcome=Outcome.FOUND, sentence="fine")
    monkeypatch.setattr("runs.services.checking.packages_foresee", lambda canonical, _: asked.append(canonical) or fine)
    assert "as soon as more.txt is here" in answer_of(person, pip_requirements_file="more.txt")
    archive = zip_file({"train.py": "", "more.txt": "six\n"})
    page = person.post("/runs/new", answers(archive=archive, experiment="")).content.decode()
    upload = re.search(r'name="upload" value="([0-9a-f-]{36})"', page)[1]
    assert "fine" in answer_of(person, pip_requirements_file="more.txt", upload=upload)
    assert asked[0]["packages"] == ["six"]


def test_the_packages_answer_begins_a_check_unless_something_is_wrong(person, local):
    page = person.post("/runs/new/packages", {**FIELDS, "pip_packages": "six"}).content.decode()
    assert re.search(r'id="package-check"[^>]*hx-swap-oob="true"[^>]*hx-post="/runs/new/check"', page)
    wrong = person.post("/runs/new/packages", {**FIELDS, "pip_packages": "a b"}).content.decode()
    assert re.search(r'id="package-check"[^>]*hx-swap-oob="true"', wrong)
    assert "hx-post" not in wrong


def test_without_scripts_the_form_has_nothing_of_it(person, local):
    page = person.get("/runs/new").content.decode()
    assert re.search(r'<div id="package-check"[^>]*></div>', page)


@pytest.mark.needs("chromium")
@pytest.mark.django_db(transaction=True)
def test_the_form_says_what_the_index_has_while_it_is_typed(enter, index: Index, monkeypatch):  # noqa: F811
    monkeypatch.setattr("runs.services.checking.packages_foresee", packages_foresee)
    index.add_wheel("tensorflow_cpu", "2.21.0")
    index.add_wheel("tensorflow", "2.21.0")
    index.add_wheel("tensorboard", "2.21.0")
    index.add_wheel("pandas", "2.3.1")
    page = enter("/runs/new")
    finding = page.locator("#package-check")
    expect(finding).to_contain_text("All packages can be had: TensorFlow 2.21.0", timeout=20_000)
    height = finding.bounding_box()["height"]
    page.locator("#id_pip_packages").fill("pandsa")
    expect(finding).to_contain_text("The package index has no package 'pandsa'", timeout=20_000)
    expect(page.get_by_role("button", name="Submit run")).to_be_enabled()
    assert_accessible(page)
    page.set_viewport_size(NARROW)
    assert_no_sideways_scrolling(page)
    page.set_viewport_size(WIDE)
    page.locator("#id_pip_packages").fill("pandas")
    expect(finding).to_contain_text("pandas 2.3.1", timeout=20_000)
    assert finding.bounding_box()["height"] == height
    page.locator("#id_pip_packages").fill("not a package !")
    expect(finding).to_be_empty()
