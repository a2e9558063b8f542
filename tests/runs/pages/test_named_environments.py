"""The pages of named environments: who sees and changes what, what is said of bad input, and the choice in the form."""

import html
import re

import pytest
from django.test import Client

from runs.models import Environment, NamedEnvironment, Run
from runs.snapshots import snapshot_from_folder
from runs.spec import RunSpec
from tests.factories import make_environment, make_named_environment, make_run, make_user

NAMED = "/environments/named/"


def text(response) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", response.content.decode())).split())


def errors_of(response) -> dict[str, list[str]]:
    return {name: list(messages) for name, messages in response.context["form"].errors.items()}


@pytest.fixture
def other(db) -> Client:
    """Another member's browser."""
    client = Client()
    client.force_login(make_user(username="other"))
    return client


@pytest.fixture
def boss(admin) -> Client:
    client = Client()
    client.force_login(admin)
    return client


def test_an_empty_list_teaches(person):
    assert "Packages under a name" in text(person.get(NAMED))


def test_what_is_typed_is_saved_and_shown(person, member):
    typed = {
        "name": "vision",
        "description": "For pictures\r\nof cats",
        "is_shared": "on",
        "framework_version": "2.21.0",
        "pip_packages": "pandas>=2\r\nsix",
        "requirements": "tiny==1.0\r\n# a comment\r\n",
        "environment_variables.name": ["SEED"],
        "environment_variables.value": ["7"],
        "note": "begun",
    }
    answer = person.post(f"{NAMED}new", typed)
    named = NamedEnvironment.objects.get()
    assert (answer.status_code, answer.url) == (302, named.get_absolute_url())
    definition = named.versions.get().definition
    assert (definition.reference, definition.pip_packages) == ("vision@1", ("pandas>=2", "six"))
    assert definition.requirements == "tiny==1.0\n# a comment\n"
    assert (named.owner, named.is_shared) == (member, True)
    page = text(person.get(answer.url))
    for words in ("TensorFlow 2.21.0", "pandas>=2, six", "tiny==1.0", "SEED 7", "begun", "Use in a new run"):
        assert words in page
    assert "TensorFlow 2.21.0 + pandas>=2, six, a requirements file" in text(person.get(NAMED))


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"name": "a b"}, "name", "cannot be a name"),
        ({"name": "<script>alert(1)</script>"}, "name", "cannot be a name"),
        ({"name": "vision@3"}, "name", "cannot be a name"),
        ({"name": "x" * 61}, "name", "cannot be a name"),
        ({"name": ""}, "name", "Give it a name"),
        ({"name": "taken"}, "name", "is taken"),
        ({"name": "TAKEN"}, "name", "is taken"),
        ({"framework_version": "0.1"}, "framework_version", "not in the catalogue"),
        ({"pip_packages": "!!"}, "pip_packages", "is no package requirement"),
        ({"requirements": "-r other.txt"}, "requirements", "other.txt"),
        ({"requirements": "--index-url https://index.example/"}, "requirements", "administrator's choice"),
        ({"requirements": "./local"}, "requirements", "local"),
        ({"requirements": "x" * 200_001}, "requirements", "at most 200000"),
        ({"pip_packages": "six==1", "requirements": "six==2"}, "requirements", "cannot both be met"),
        (
            {"environment_variables.name": ["API_TOKEN"], "environment_variables.value": ["x"]},
            "environment_variables",
            "looks like a secret",
        ),
        (
            {"environment_variables.name": ["TRAINHOUSE_X"], "environment_variables.value": ["x"]},
            "environment_variables",
            "set by the platform",
        ),
        ({"note": "x" * 501}, "note", "at most 500"),
    ],
)
def test_a_problem_is_said_beside_its_field_and_nothing_is_lost(person, admin, changes, field, words):
    make_named_environment(admin, name="taken")
    typed = {"name": "vision", "description": "<i>kept</i>", **changes}
    answer = person.post(f"{NAMED}new", typed)
    assert answer.status_code == 422
    assert list(errors_of(answer)) == [field]
    assert words in " ".join(errors_of(answer)[field])
    assert "&lt;i&gt;kept&lt;/i&gt;" in answer.content.decode()
    assert "<script>alert" not in answer.content.decode()
    assert NamedEnvironment.objects.count() == 1


def test_more_rows_are_given_without_scripts(person):
    answer = person.post(f"{NAMED}new", {"name": "", "add": "environment_variables"})
    assert answer.status_code == 200
    assert not answer.context["form"].errors
    assert len(answer.context["form"].variable_rows) == 3


def test_an_edit_is_the_next_version_with_what_changed(person, member):
    named = make_named_environment(member, name="vision", pip_packages=["six", "pandas"])
    form = person.get(f"{named.get_absolute_url()}edit/").context["form"]
    assert (form["base"].value(), form["pip_packages"].value()) == (1, "six\npandas")
    typed = {"base": 1, "name": "hijacked", "pip_packages": "six\nnumpy<2", "note": "<b>numpy</b>"}
    assert person.post(f"{named.get_absolute_url()}edit/", typed).url == named.get_absolute_url()
    answer = person.get(named.get_absolute_url())
    page = text(answer)
    assert "vision@2" in page
    assert "removed: pandas" in page
    assert "added: numpy<2" in page
    assert "<b>numpy" not in answer.content.decode()
    assert "vision@1" in text(person.get(f"{named.get_absolute_url()}?version=1"))
    named.refresh_from_db()
    assert named.name == "vision"

    again = person.post(
        f"{named.get_absolute_url()}edit/", {**typed, "base": 2, "description": "new words"}, follow=True
    )
    assert "The content is unchanged." in text(again)
    assert named.versions.count() == 2


def test_a_stale_edit_is_refused_and_can_be_saved_again(person, boss, member):
    named = make_named_environment(member, name="vision")
    boss.post(f"{named.get_absolute_url()}edit/", {"base": 1, "pip_packages": "pandas"})
    typed = {"base": 1, "pip_packages": "numpy", "requirements": "mine==1.0\n", "note": "my words"}
    refused = person.post(f"{named.get_absolute_url()}edit/", typed)
    assert refused.status_code == 409
    assert "admin saved version 2 meanwhile; this page began from version 1." in text(refused)
    page = refused.content.decode()
    assert 'name="base" value="2"' in page
    for words in ("numpy", "mine==1.0", "my words"):
        assert words in page
    assert person.post(f"{named.get_absolute_url()}edit/", {**typed, "base": 2}).status_code == 302
    assert named.versions.first().definition.pip_packages == ("numpy",)


def test_others_see_what_is_shared_and_change_nothing(other, boss, member):
    private = make_named_environment(member, name="private-one")
    shared = make_named_environment(member, name="shared-one", is_shared=True)
    assert "shared-one" in text(other.get(NAMED))
    assert "private-one" not in text(other.get(NAMED))
    assert other.get(private.get_absolute_url()).status_code == 404
    page = other.get(shared.get_absolute_url())
    assert "Use in a new run" in text(page)
    assert "/edit/" not in page.content.decode()
    for action in ("edit", "delete", "archive"):
        assert other.post(f"{shared.get_absolute_url()}{action}/").status_code == 404
    assert other.post(f"{private.get_absolute_url()}build/").status_code == 404
    assert "private-one" in text(boss.get(NAMED))
    assert boss.get(f"{private.get_absolute_url()}edit/").status_code == 200


def test_archived_ones_leave_the_choice_and_come_back(person, member, local):
    named = make_named_environment(member, name="vision")
    assert "vision (newest: version 1)" in text(person.get("/runs/new"))
    assert "is archived" in text(person.post(f"{named.get_absolute_url()}archive/", {"archived": "1"}, follow=True))
    assert "vision" not in text(person.get("/runs/new"))
    assert "Packages under a name" in text(person.get(NAMED))
    assert "vision" in text(person.get(f"{NAMED}?archived=1"))
    assert "can be chosen again" in text(
        person.post(f"{named.get_absolute_url()}archive/", {"archived": "0"}, follow=True)
    )


def test_deleting_asks_first_and_leaves_runs_alone(person, member, local):
    named = make_named_environment(member, name="vision")
    content = named.versions.get().definition
    run = make_run(
        owner=member, spec=RunSpec(environment_definition="vision@1"), definition_json=content.to_json(), target=local
    )
    assert "1 run that named it keeps what it held" in text(person.get(f"{named.get_absolute_url()}delete/"))
    assert f'href="{named.get_absolute_url()}?version=1"' in person.get(run.get_absolute_url()).content.decode()
    person.post(f"{named.get_absolute_url()}delete/")
    assert not NamedEnvironment.objects.exists()
    page = person.get(run.get_absolute_url())
    assert "vision@1" in text(page)
    assert f'href="{named.get_absolute_url()}' not in page.content.decode()


def test_it_is_chosen_in_the_form_and_pinned(person, member, local, answers):
    make_named_environment(member, name="vision", pip_packages=["six"])
    form = person.get("/runs/new?environment=vision")
    assert form.context["form"]["environment_definition"].value() == "vision"
    assert "TensorFlow newest + six" in text(form)
    assert person.post("/runs/new", answers(environment_definition="vision")).status_code == 302
    run = Run.objects.get()
    assert run.spec.environment_definition == "vision@1"
    clone = person.get(f"/runs/new?clone={run.pk}").context["form"]
    assert clone["environment_definition"].value() == "vision@1"
    assert "six" in text(person.get(run.get_absolute_url()))


def test_packages_beside_it_are_refused_by_name(person, member, local, answers):
    make_named_environment(member, name="vision")
    answer = person.post("/runs/new", answers(environment_definition="vision", pip_packages="pandas"))
    assert answer.status_code == 422
    (message,) = errors_of(answer)["environment_definition"]
    assert message.startswith("The named environment vision stands in for the pip packages.")
    assert 'href="#id_environment_definition"' in answer.content.decode()
    assert 'id="id_environment_definition_error"' in answer.content.decode()


def test_another_persons_private_one_cannot_be_named(person, admin, local, answers):
    make_named_environment(admin, name="secret-one")
    answer = person.post("/runs/new", answers(environment_definition="secret-one"))
    assert "There is no named environment 'secret-one' for you." in errors_of(answer)["environment_definition"][0]
    assert person.get("/runs/new?environment=secret-one").status_code == 200


def test_the_form_is_told_what_is_inside_while_it_is_chosen(person, member, local):
    make_named_environment(member, name="vision", pip_packages=["six", "!!"])
    answer = person.post("/runs/new/packages", {"environment_definition": "vision", "compute_target": "local"})
    assert "vision, version 1 : TensorFlow newest + six, !!" in text(answer)
    assert "vision@1: '!!' is no package requirement" in text(answer)


def test_a_run_is_saved_under_a_name(person, member, local, tmp_path):
    (tmp_path / "train.py").write_text("")
    (tmp_path / "req.txt").write_text("tiny==1.0\n")
    spec = RunSpec(
        pip_packages=("six",),
        pip_requirements_file="req.txt",
        environment_variables={"API_TOKEN": "••••••", "SEED": "7"},
    )
    run = make_run(owner=member, spec=spec, snapshot=snapshot_from_folder(tmp_path), target=local)
    assert f'href="{NAMED}new?run={run.pk}"' in person.get(run.get_absolute_url()).content.decode()
    form = person.get(f"{NAMED}new?run={run.pk}").context["form"]
    assert (form["pip_packages"].value(), form["requirements"].value()) == ("six", "tiny==1.0\n")
    assert [row.name for row in form.variable_rows] == ["SEED", ""]
    assert person.get(f"{NAMED}new?run={make_run().pk}").status_code == 404
    assert person.get(f"{NAMED}new?run=x").status_code == 404


def test_a_build_ahead_is_ordered_and_listed(person, member, local, monkeypatch):
    named = make_named_environment(member, name="vision")
    environment = make_environment(local, state="building", spec={"gpu": False})
    monkeypatch.setattr("runs.services.definitions.environment_request", lambda *_: environment)
    answer = person.post(f"{named.get_absolute_url()}build/", {"version": "1", "target": "local"})
    assert answer.url == environment.get_absolute_url()
    assert "vision@1" in text(person.get(answer.url))
    page = person.get(named.get_absolute_url())
    assert "Version 1 on local Building" in text(page)
    assert 'data-live="2"' in page.content.decode()
    fragment = person.get(named.get_absolute_url(), headers={"HX-Request": "true"})
    assert fragment.content.decode().lstrip().startswith('<div id="built"')
    gpu = person.post(
        f"{named.get_absolute_url()}build/", {"version": "1", "target": "local", "use_gpu": "on"}, follow=True
    )
    assert "has no GPU" in text(gpu)
    assert person.post(f"{named.get_absolute_url()}build/", {"version": "9"}).status_code == 404
    assert person.post(f"{named.get_absolute_url()}build/", {"target": "moon"}).status_code == 404
    assert Environment.objects.count() == 1
