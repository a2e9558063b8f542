"""TensorFlow versions in the administration and on their page: switched off, added, checked, written down."""

import html
import re

import pytest
from django.test import Client
from django.urls import reverse

from runs.environments.catalogue import shipped, versions
from runs.models import FrameworkVersion
from runs.states import RunState
from tests.factories import make_environment, make_run

OWN = {"version": "2.22.0", "is_offered": "on", "pythons": "3.12,3.11", "keras": "3", "added": "tensorboard\n"}
ADD = "/admin/runs/frameworkversion/add/"


@pytest.fixture
def boss(admin) -> Client:
    client = Client()
    client.force_login(admin)
    return client


def text(response) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", response.content.decode())).split())


def test_an_administrator_adds_a_version_and_everybody_is_offered_it(boss, admin, person, local):
    assert boss.post(ADD, OWN).status_code == 302
    row = FrameworkVersion.objects.get()
    assert (row.version, row.pythons, row.added) == ("2.22.0", "3.11, 3.12", "tensorboard")
    assert row.history.get().history_user == admin
    assert versions()[0] == "2.22.0"
    form = person.get("/runs/new").content.decode()
    assert '<option value="2.22.0">' in form
    page = text(person.get("/environments/frameworks/"))
    assert "2.22.0 newest added here" in page
    assert "Switch off" not in page


def test_a_shipped_version_is_switched_off_and_hidden_from_members(boss, person, local, answers):
    assert boss.post(ADD, {"version": "2.15.1"}).status_code == 302
    assert "2.15.1" not in text(person.get("/environments/frameworks/"))
    assert "2.15.1 switched off" in text(boss.get("/environments/frameworks/"))
    assert '<option value="2.15.1">' not in person.get("/runs/new").content.decode()
    refused = person.post("/runs/new", answers(framework_version="2.15.1"))
    assert refused.status_code == 422
    assert "TensorFlow 2.15.1 is switched off here. Known versions: 2.21.0" in text(refused)


def test_a_run_of_a_version_that_went_away_keeps_its_pages(boss, person, member, local):
    spec = {
        "framework": {"version": "2.15.1", "requirements": ["tensorflow-cpu==2.15.1"], "pinned_by": "platform"},
        "python": {"version": "3.11.4"},
        "packages": [],
    }
    environment = make_environment(local, spec=spec, lock="tensorflow-cpu==2.15.1\n")
    run = make_run(owner=member, target=local, environment=environment, state=RunState.COMPLETED)
    for release in shipped():
        FrameworkVersion.objects.create(version=release.version, is_offered=False)
    for path in (reverse("run", args=[run.pk]), environment.get_absolute_url(), f"/runs/new?clone={run.pk}"):
        assert person.get(path).status_code == 200
    assert "No version is on offer" in text(person.get("/environments/frameworks/"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "newest"}, "'newest' is no version"),
        ({"version": "2.22"}, "'2.22' is not how the index writes a release"),
        ({"version": "v2.22.0"}, "'v2.22.0' is not how the index writes a release"),
        ({"version": "2.22.0+cu12"}, "is not how the index writes a release"),
        ({"version": "2.21.0"}, "TensorFlow 2.21.0 is shipped, with all that is known of it. Leave this empty."),
        ({"pythons": ""}, "Say which Pythons TensorFlow 2.22.0 has wheels for"),
        ({"pythons": "3.12, three"}, "'three' is no minor version of Python"),
        ({"pythons": "2.7"}, "'2.7' is no minor version of Python"),
        ({"keras": ""}, "Say which Keras tf.keras is in TensorFlow 2.22.0."),
        ({"horovod_as": "2.22.0"}, "There is no Horovod recipe for '2.22.0'. Choose one of 2.21.0"),
        ({"added": "a b"}, "'a b' is no package requirement"),
        ({"added": "x @ https://x.example/x.whl"}, "names an address"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(boss, changes, words):
    response = boss.post(ADD, {**OWN, **changes})
    assert response.status_code == 200
    assert words in text(response)
    assert FrameworkVersion.objects.count() == 0


def test_switching_by_the_lists_actions_writes_history(boss, admin):
    boss.post(ADD, OWN)
    row = FrameworkVersion.objects.get()
    where = "/admin/runs/frameworkversion/"
    for action, words in (("versions_withdraw", "Switched off: TensorFlow 2.22.0."), ("versions_offer", "Offered: ")):
        answer = boss.post(where, {"action": action, "_selected_action": [row.pk]}, follow=True)
        assert words in text(answer)
    assert [entry.is_offered for entry in row.history.order_by("pk")] == [True, False, True]
    for path in (where, f"{where}{row.pk}/change/", f"{where}{row.pk}/history/", f"{ADD}?version=2.15.1"):
        assert boss.get(path).status_code == 200


def test_the_page_leads_administrators_to_each_change(boss, person):
    FrameworkVersion.objects.create(version="2.15.1", is_offered=False)
    page = boss.get("/environments/frameworks/").content.decode()
    assert f'href="{ADD}?version=2.20.0"' in page
    assert re.search(r'href="/admin/runs/frameworkversion/\d+/change/"', page)
    offered = boss.get(f"{ADD}?version=2.20.0").content.decode()
    assert 'value="2.20.0"' in offered
    assert not re.search(r'name="is_offered"[^>]*\schecked[\s>]', offered)
    assert "/admin/" not in re.sub(r"<nav.*?</nav>", "", person.get("/environments/frameworks/").content.decode())


def test_members_cannot_change_versions(person):
    assert person.get(ADD).status_code == 302
    assert person.post(ADD, OWN).status_code == 302
    assert FrameworkVersion.objects.count() == 0


def test_the_form_says_which_version_the_newest_is_and_what_was_passed_over(boss, person, local):
    boss.post(ADD, {**OWN, "version": "2.99.0", "pythons": "3.99"})
    response = person.get("/runs/new")
    assert '<option value="" selected>Newest (2.21.0)</option>' in response.content.decode()
    assert any("TensorFlow 2.99.0 needs Python 3.99" in sentence for sentence in response.context["advice"])
