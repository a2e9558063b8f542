"""Submitting: checked whole, stored once, secrets sealed."""

import dataclasses
import threading

import pytest
from django.db import connection

from compute.masking import MASK
from compute.models import ComputeTarget
from runs.errors import SpecProblems
from runs.models import Run
from runs.sealing import unseal
from runs.services import run_submit
from runs.snapshots import snapshot_from_folder
from runs.spec import RunSpec
from tests.factories import make_target, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def snapshot(tmp_path):
    (tmp_path / "train.py").write_text("print('hello')\n")
    return snapshot_from_folder(tmp_path)


@pytest.fixture
def target() -> ComputeTarget:
    return make_target(name="local")


def submit(owner, snapshot, *, spec=None, key="one", **labels) -> Run:
    labels = {"experiment_name": "digits", **labels}
    return run_submit(owner=owner, spec=spec or RunSpec(), snapshot=snapshot, submission_key=key, **labels)


def test_a_run_is_numbered_within_its_experiment(admin, snapshot, target):
    runs = [submit(admin, snapshot, key=str(i), experiment_name=name) for i, name in enumerate(["a", "a", "b"])]
    assert [run.number for run in runs] == [1, 2, 1]
    assert [str(event) for event in runs[0].events.all()] == ["The run was submitted."]


def test_the_same_key_is_the_same_run_for_its_owner_alone(admin, snapshot, target):
    first = submit(admin, snapshot)
    assert submit(admin, snapshot, name="another name") == first
    other = make_user(is_staff=True)
    assert submit(other, snapshot) != first
    assert Run.objects.count() == 2


def test_all_problems_come_at_once_and_nothing_is_stored(admin, snapshot, target):
    spec = RunSpec(entry_script="no.py", node_count=0, compute_target="local")
    with pytest.raises(SpecProblems) as caught:
        submit(admin, snapshot, spec=spec, experiment_name="no spaces please", name="x" * 300, tags=["y" * 200])
    fields = {problem.field for problem in caught.value.problems}
    assert fields == {"entry_script", "node_count", "experiment", "name", "tags"}
    assert not Run.objects.exists()


def test_a_secret_is_masked_in_the_spec_and_comes_back_for_the_launch(admin, snapshot, target):
    spec = RunSpec(environment_variables={"API_KEY": "hunter2", "EPOCHS": "3"})
    run = submit(admin, snapshot, spec=spec)
    stored = Run.objects.get(pk=run.pk)
    assert stored.spec_json["environment_variables"] == {"API_KEY": MASK, "EPOCHS": "3"}
    assert "hunter2" not in stored.sealed_variables
    assert unseal(stored.sealed_variables) == {"API_KEY": "hunter2"}


def test_tags_lose_blanks_and_repeats(admin, snapshot, target):
    assert submit(admin, snapshot, tags=[" a ", "", "b", "a"]).tags == ["a", "b"]


def test_a_target_that_is_closed_takes_nothing_and_says_so(admin, snapshot, target):
    ComputeTarget.objects.filter(pk=target.pk).update(is_open=False)
    with pytest.raises(SpecProblems, match="takes no new runs"):
        submit(admin, snapshot)


@pytest.mark.parametrize(("uid", "setting", "may"), [(0, False, True), (1000, False, False), (1000, True, True)])
def test_members_use_the_local_target_only_where_it_can_hold_them(
    member, snapshot, target, monkeypatch, settings, uid, setting, may
):
    monkeypatch.setattr("runs.permissions.os.geteuid", lambda: uid)
    settings.ENV = dataclasses.replace(settings.ENV, members_may_use_local=setting)
    if may:
        assert submit(member, snapshot).owner == member
    else:
        with pytest.raises(SpecProblems, match="There is no target 'local' for you"):
            submit(member, snapshot)


@pytest.mark.django_db(transaction=True)
def test_submissions_at_the_same_instant_get_numbers_of_their_own(admin, snapshot, target):
    runs, errors = [], []
    start = threading.Barrier(6)

    def one(key: str) -> None:
        try:
            start.wait()
            runs.append(submit(admin, snapshot, key=key))
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(str(i % 3),)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len({run.pk for run in runs}) == 3
    assert sorted(Run.objects.values_list("number", flat=True)) == [1, 2, 3]
