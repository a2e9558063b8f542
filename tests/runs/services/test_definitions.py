"""Named environments: versions that never change, names that runs pin, and builds ahead."""

import threading

import pytest
from django.db import connection

from runs.environments.definitions import effective
from runs.errors import NotNow, SpecProblems
from runs.models import Environment, NamedEnvironment, NamedEnvironmentVersion, Run
from runs.pipeline.launch import task_plan
from runs.services import (
    definition_find,
    definition_problems,
    named_archive,
    named_build,
    named_create,
    named_delete,
    named_edit,
    run_again,
    run_submit,
    submission_advice,
    submission_problems,
)
from runs.snapshots import snapshot_from_folder
from runs.spec import Definition, RunSpec
from runs.states import Again, EnvironmentState
from tests.factories import make_environment, make_named_environment, make_target, make_task, make_user

pytestmark = pytest.mark.django_db

CONTENT = Definition(name="vision", pip_packages=("six",), environment_variables={"SEED": "7"}, legacy_keras=True)


@pytest.fixture
def snapshot(tmp_path):
    (tmp_path / "train.py").write_text("print('hello')\n")
    return snapshot_from_folder(tmp_path)


@pytest.fixture
def target():
    return make_target(name="local")


@pytest.fixture
def vision(admin) -> NamedEnvironment:
    return named_create(owner=admin, definition=CONTENT, is_shared=True)


def edit(named, actor, base, **content) -> NamedEnvironmentVersion:
    definition = Definition(**{"name": named.name, "pip_packages": ("six",), **content})
    return named_edit(named, actor=actor, base=base, definition=definition, description="", is_shared=True)


def submit(owner, snapshot, reference, key="one") -> Run:
    return run_submit(
        owner=owner,
        spec=RunSpec(environment_definition=reference),
        snapshot=snapshot,
        submission_key=key,
        experiment_name="digits",
    )


def test_an_edit_is_a_new_version_and_the_old_ones_stay(vision, admin):
    second = edit(vision, admin, 1, pip_packages=("six", "pandas"))
    assert (second.number, vision.versions.count()) == (2, 2)
    assert vision.versions.get(number=1).definition == Definition.from_json(
        {**CONTENT.to_json(), "name": "vision", "number": 1}
    )
    assert edit(vision, admin, 2, pip_packages=("six", "pandas")) == second
    assert vision.versions.count() == 2


def test_an_edit_that_began_from_an_old_version_is_refused(vision, admin):
    edit(vision, admin, 1, pip_packages=("pandas",))
    with pytest.raises(NotNow, match="admin saved version 2 meanwhile; this page began from version 1"):
        edit(vision, admin, 1, pip_packages=("numpy",))
    assert vision.versions.count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_two_edits_at_the_same_time_one_is_refused(vision, admin):
    outcomes = []

    def save(package):
        try:
            outcomes.append(edit(vision, admin, 1, pip_packages=(package,)).number)
        except NotNow:
            outcomes.append(0)
        finally:
            connection.close()

    threads = [threading.Thread(target=save, args=(name,)) for name in ("pandas", "numpy")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [0, 2]


def test_a_name_is_there_once_whatever_its_case(vision):
    with pytest.raises(SpecProblems, match="'VISION' is taken"):
        named_create(owner=make_user(), definition=Definition(name="VISION"))
    assert NamedEnvironment.objects.count() == 1


def test_a_name_is_pinned_to_its_newest_version_and_kept_with_the_run(vision, admin, target, snapshot):
    run = submit(admin, snapshot, "vision")
    assert run.spec.environment_definition == "vision@1"
    edit(vision, admin, 1, pip_packages=("pandas",))
    assert submit(admin, snapshot, "vision", key="two").spec.environment_definition == "vision@2"
    assert submit(admin, snapshot, "VISION@1", key="three").spec.environment_definition == "vision@1"
    named_delete(vision)
    run.refresh_from_db()
    assert run.effective_spec.pip_packages == ("six",)
    assert run.effective_spec.environment_variables == {"SEED": "7"}


def test_a_run_can_be_run_again_when_its_named_environment_is_gone(vision, admin, target, snapshot):
    run = submit(admin, snapshot, "vision")
    named_delete(vision)
    again = run_again(run, how=Again.UPDATED, actor=admin, submission_key="again")
    assert (again.spec, again.definition) == (run.spec, run.definition)
    with pytest.raises(SpecProblems, match="There is no named environment 'vision@1' for you"):
        submit(admin, snapshot, "vision@1", key="fresh")


def test_the_script_gets_its_variables_and_its_keras(vision, admin, target, snapshot):
    run = submit(admin, snapshot, "vision")
    run.environment = make_environment(target, path="/nowhere")
    run.lock = "tf-keras==2.21.0\ntensorflow-cpu==2.21.0\n"
    environ = task_plan(run, make_task(run)).environ
    assert (environ["SEED"], environ["TF_USE_LEGACY_KERAS"]) == ("7", "1")


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("nothing", "There is no named environment 'nothing' for you. Those you may use: vision."),
        ("<script>", "There is no named environment '<script>' for you."),
        ("vision@9", "vision has no version 9; its newest is 1."),
    ],
)
def test_what_cannot_be_named_is_said(vision, admin, reference, words):
    definition, problem = definition_find(reference, admin)
    assert definition is None
    assert problem is not None
    assert problem.field == "environment_definition"
    assert words in problem.message


def test_a_private_one_does_not_exist_for_others(admin):
    named = make_named_environment(admin)
    other, boss = make_user(), make_user(is_staff=True)
    assert "You may use none yet" in definition_find(named.name, other)[1].message
    assert definition_find(named.name, boss)[0].pip_packages == ("six",)
    assert definition_find(named.name, admin)[0].reference == f"{named}@1"


def test_an_archived_one_is_refused_until_it_is_restored(vision, admin, target, snapshot):
    named_archive(vision, is_archived=True)
    with pytest.raises(SpecProblems, match="vision is archived"):
        submit(admin, snapshot, "vision@1")
    named_archive(vision, is_archived=False)
    assert submit(admin, snapshot, "vision@1")


def test_what_is_wrong_inside_is_said_of_the_name(admin, target, snapshot):
    make_named_environment(admin, name="old", pip_packages=["!!"])
    found = submission_problems(
        RunSpec(environment_definition="old"), user=admin, snapshot=snapshot, experiment_name="digits"
    )
    assert [(each.field, each.message[:10]) for each in found] == [("environment_definition", "old@1: '!!")]


def test_the_content_is_checked_like_a_runs_own(admin):
    definition = Definition(
        framework_version="0.1", pip_packages=("six==1",), requirements="six==2\n-r other.txt\n", conda_file=""
    )
    found = {(each.field, each.message.split(" ")[0]) for each in definition_problems(definition)}
    assert {field for field, _ in found} == {"framework_version", "pip_requirements_file"}


def test_advice_speaks_of_what_is_inside(vision, snapshot):
    definition = vision.versions.get().definition
    spec = RunSpec(environment_definition="vision@1")
    assert any("Legacy Keras" in each for each in submission_advice(spec, snapshot=snapshot, definition=definition))


def test_without_a_definition_everything_stays_as_it_is():
    spec = RunSpec(pip_packages=("six",))
    assert effective(spec, None, None) == (spec, None)


def test_a_version_is_ordered_ahead_of_any_run_and_a_run_finds_it(vision, admin, target, monkeypatch):
    asked, specs = [], []
    environment = make_environment(target, state=EnvironmentState.REQUESTED)

    def request(spec, target, backend, read):
        specs.append(spec)
        return environment

    monkeypatch.setattr("runs.services.definitions.environment_request", request)
    monkeypatch.setattr("runs.services.definitions.enqueue_build", asked.append)
    version = vision.versions.get()
    assert named_build(version, target=target, gpu=False) == environment
    assert asked == [environment.pk]
    assert specs == [CONTENT.applied(RunSpec(compute_target="local"))]
    assert list(version.environments.all()) == [environment]
    with pytest.raises(SpecProblems, match="has no GPU"):
        named_build(version, target=target, gpu=True)
    vision.delete()
    assert Environment.objects.filter(pk=environment.pk).exists()
