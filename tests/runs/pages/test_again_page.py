"""The page that asks how a run is to be run again, and what the new run's page says of it."""

import html
import re

import pytest
from django.test import Client

from compute.masking import MASK
from runs.models import Run
from runs.snapshots import snapshot_from_folder
from runs.spec import RunSpec
from runs.states import Again, RunState
from tests.factories import make_environment, make_run, make_user
from tests.runs.pages.test_environments import HASH, spec

PYTHON = {"version": "3.11.4"}


def text(response) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", response.content.decode())))


@pytest.fixture
def ran(member, local, tmp_path) -> Run:
    (tmp_path / "train.py").write_text("print('hello')\n")
    environment = make_environment(local, lock=f"six==1.17.0{HASH}", python_version="3.11.4")
    return make_run(
        owner=member,
        target=local,
        name="<b>first</b>",
        environment=environment,
        environment_spec={**spec("six"), "python": PYTHON},
        lock=environment.lock,
        snapshot=snapshot_from_folder(tmp_path),
        state=RunState.COMPLETED,
        spec=RunSpec(compute_target="local", pip_packages=("six",)),
    )


def test_both_ways_are_explained_and_reached_from_the_run(person, ran):
    assert f'href="/runs/{ran.pk}/again/"' in person.get(ran.get_absolute_url()).content.decode()
    page = person.get(f"/runs/{ran.pk}/again/")
    assert "Run again, exactly" in text(page)
    assert "Run again with updated packages" in text(page)
    assert "<b>first" not in page.content.decode()
    assert "no-store" in page["Cache-Control"]


@pytest.mark.parametrize(("how", "words"), [("exactly", "exactly as "), ("updated", "with updated packages")])
def test_a_press_makes_the_run_and_its_page_says_what_it_is(person, ran, how, words):
    key = {"submission_key": "one", "how": how}
    first = person.post(f"/runs/{ran.pk}/again/", key)
    assert person.post(f"/runs/{ran.pk}/again/", key).url == first.url
    new = Run.objects.exclude(pk=ran.pk).get()
    assert (first.url, new.again) == (f"/runs/{new.pk}/", how)
    page = person.get(first.url)
    assert words in text(page)
    assert f'href="/runs/{ran.pk}/"' in page.content.decode()


def test_a_run_without_a_lock_offers_the_update_alone(person, ran):
    Run.objects.update(lock="")
    page = person.get(f"/runs/{ran.pk}/again/")
    assert "no lock to repeat" in text(page)
    assert 'value="exactly"' not in page.content.decode()
    refused = person.post(f"/runs/{ran.pk}/again/", {"how": "exactly"})
    assert (refused.status_code, Run.objects.count()) == (422, 1)
    assert "The run was not submitted." in text(refused)


def test_nothing_chosen_is_asked_for_again(person, ran):
    refused = person.post(f"/runs/{ran.pk}/again/", {"how": "sideways"})
    assert "Choose how to run it again." in text(refused)
    assert refused.status_code == 422


def test_an_administrator_types_the_secrets_of_somebody_elses_run(ran):
    Run.objects.update(spec_json=RunSpec(environment_variables={"API_KEY": MASK}).to_json())
    client = Client()
    client.force_login(make_user(is_staff=True))
    page = client.get(f"/runs/{ran.pk}/again/")
    assert 'name="secret.API_KEY"' in page.content.decode()
    refused = client.post(f"/runs/{ran.pk}/again/", {"how": "exactly"})
    assert "API_KEY is a secret of member. Type a value." in text(refused)
    assert client.post(f"/runs/{ran.pk}/again/", {"how": "exactly", "secret.API_KEY": "x"}).status_code == 302


def test_another_patch_of_python_is_said_on_the_run_page(person, ran):
    Run.objects.update(again=Again.EXACTLY, environment_spec={**spec("six"), "python": {"version": "3.11.2"}})
    assert "3.11.4, in place of 3.11.2" in text(person.get(ran.get_absolute_url()))


def test_the_run_page_says_what_the_update_changed(person, member, local, ran):
    new = make_run(
        owner=member, target=local, cloned_from=ran, again=Again.UPDATED, lock=f"six==1.18.0{HASH}tiny==1.0{HASH}"
    )
    page = text(person.get(new.get_absolute_url()))
    assert "What the update changed" in page
    assert "six1.17.01.18.0newer" in page.replace(" ", "")
    assert "1.0added" in page.replace(" ", "")
    Run.objects.filter(pk=new.pk).update(lock=ran.lock)
    assert "Nothing: the index still gives the same versions" in text(person.get(new.get_absolute_url()))
    Run.objects.filter(pk=new.pk).update(lock="")
    assert "What the update changed" not in text(person.get(new.get_absolute_url()))
