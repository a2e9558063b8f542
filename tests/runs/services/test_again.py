"""Running a run again: what the new one takes over, and from whom."""

import pytest

from compute.masking import MASK
from runs.errors import NotNow, SpecProblems, UserError
from runs.models import FrameworkVersion, Run
from runs.pipeline import advance
from runs.sealing import unseal
from runs.selectors.environment import advice_of
from runs.services import exactly_problem, run_again, run_submit, secrets_to_ask
from runs.snapshots import snapshot_from_folder
from runs.spec import RunSpec
from runs.states import Again, EnvironmentState, RunState
from tests.factories import make_environment, make_target, make_user

pytestmark = pytest.mark.django_db

CANONICAL = {
    "framework": {"version": "2.21.0", "requirements": ["tensorflow-cpu==2.21.0"], "pinned_by": "platform"},
    "added": [],
    "packages": ["six"],
    "python": {"version": "3.11.4"},
}
LOCK = "six==1.17.0 \\\n    --hash=sha256:" + "a" * 64 + "\n"


@pytest.fixture
def ran(admin, tmp_path) -> Run:
    """A run of the administrator's that has had its packages."""
    (tmp_path / "train.py").write_text("print('hello')\n")
    make_target(name="local")
    run = run_submit(
        owner=admin,
        spec=RunSpec(
            script_params=(("--lr", 0.1), ("--layers", [64, 32])),
            pip_packages=("six",),
            environment_variables={"API_KEY": "hunter2", "SEED": "7"},
        ),
        snapshot=snapshot_from_folder(tmp_path),
        submission_key="first",
        experiment_name="digits",
        name="baseline",
        tags=["a"],
    )
    Run.objects.filter(pk=run.pk).update(state=RunState.COMPLETED, lock=LOCK, environment_spec=CANONICAL)
    run.refresh_from_db()
    return run


def test_the_same_run_once_more_with_the_lock_and_the_secrets_of_its_owner(ran, admin):
    new = run_again(ran, how=Again.EXACTLY, actor=admin, submission_key="second")
    for field in ("spec_json", "snapshot_id", "target_id", "lock", "environment_spec", "name", "tags", "experiment_id"):
        assert getattr(new, field) == getattr(ran, field), field
    assert new.spec_json["environment_variables"]["API_KEY"] == MASK
    assert unseal(new.sealed_variables) == {"API_KEY": "hunter2"}
    assert (new.number, new.state, new.again, new.cloned_from) == (2, RunState.SUBMITTED, Again.EXACTLY, ran)
    assert [str(event) for event in new.events.all()] == ["The run was submitted: digits #1 again, exactly."]


def test_an_update_takes_no_lock_along(ran, admin):
    new = run_again(ran, how=Again.UPDATED, actor=admin, submission_key="second")
    assert (new.lock, new.environment_spec, new.again) == ("", None, Again.UPDATED)


def test_the_same_key_gives_the_same_run(ran, admin):
    runs = {run_again(ran, how=Again.EXACTLY, actor=admin, submission_key="again").pk for _ in range(3)}
    assert len(runs) == 1


def test_somebody_else_types_the_secrets(ran):
    other = make_user(is_staff=True)
    assert secrets_to_ask(ran, other) == ["API_KEY"]
    with pytest.raises(SpecProblems, match="API_KEY is a secret of admin"):
        run_again(ran, how=Again.EXACTLY, actor=other, submission_key="x")
    new = run_again(ran, how=Again.EXACTLY, actor=other, submission_key="x", secrets={"API_KEY": "mine", "SEED": "8"})
    assert new.owner == other
    assert unseal(new.sealed_variables) == {"API_KEY": "mine"}
    assert new.spec.environment_variables["SEED"] == "7"


def test_secrets_of_another_key_are_not_guessed(ran, admin):
    Run.objects.filter(pk=ran.pk).update(sealed_variables="x")
    ran.refresh_from_db()
    with pytest.raises(UserError, match="encrypted with another key"):
        run_again(ran, how=Again.EXACTLY, actor=admin, submission_key="x")


@pytest.mark.parametrize("lost", [{"lock": ""}, {"environment_spec": None}])
def test_without_a_lock_there_is_nothing_to_repeat(ran, admin, lost):
    Run.objects.filter(pk=ran.pk).update(**lost)
    ran.refresh_from_db()
    assert "no lock to repeat" in exactly_problem(ran)
    with pytest.raises(NotNow, match="no lock to repeat"):
        run_again(ran, how=Again.EXACTLY, actor=admin, submission_key="x")
    assert run_again(ran, how=Again.UPDATED, actor=admin, submission_key="x")


def test_what_the_packages_would_be_today_does_not_matter_to_an_exact_repetition(ran, admin):
    Run.objects.filter(pk=ran.pk).update(spec_json={**ran.spec_json, "framework_version": "1.0.0"})
    ran.refresh_from_db()
    with pytest.raises(SpecProblems, match="not in the catalogue"):
        run_again(ran, how=Again.UPDATED, actor=admin, submission_key="x")
    assert run_again(ran, how=Again.EXACTLY, actor=admin, submission_key="x")


def test_a_target_that_is_closed_takes_no_repetition(ran, admin):
    ran.target.is_open = False
    ran.target.save(update_fields=["is_open"])
    with pytest.raises(SpecProblems, match="takes no new runs"):
        run_again(ran, how=Again.EXACTLY, actor=admin, submission_key="x")


def test_the_pipeline_asks_for_the_lock_and_keeps_what_decided_the_environment(ran, admin, monkeypatch):
    asked = []
    locked = make_environment(
        ran.target, state=EnvironmentState.READY, lock=LOCK, spec={**CANONICAL, "python": {"version": "3.11.9"}}
    )

    def order(canonical, lock, target, backend):
        asked.append((canonical, lock))
        return locked

    monkeypatch.setattr("runs.pipeline.prepare.environment_request_locked", order)
    monkeypatch.setattr("runs.pipeline.prepare.environment_is_intact", lambda environment: True)
    new = run_again(ran, how=Again.EXACTLY, actor=admin, submission_key="x")
    advance(new.pk)
    new.refresh_from_db()
    assert asked == [(CANONICAL, LOCK)]
    assert (new.environment, new.lock, new.environment_spec) == (locked, LOCK, CANONICAL)
    said = " ".join(str(event) for event in new.events.all())
    assert "Python 3.11.9 stands in for 3.11.4" in said


def test_an_ordinary_run_writes_down_what_decided_its_environment(ran, admin, monkeypatch):
    found = make_environment(ran.target, state=EnvironmentState.READY, lock=LOCK, spec=CANONICAL)
    monkeypatch.setattr("runs.pipeline.prepare.environment_request", lambda *_: found)
    monkeypatch.setattr("runs.pipeline.prepare.environment_is_intact", lambda environment: True)
    new = run_submit(
        owner=admin, spec=RunSpec(), snapshot=ran.snapshot, submission_key="plain", experiment_name="digits"
    )
    advance(new.pk)
    new.refresh_from_db()
    found.delete()
    assert (new.environment_spec, new.lock) == (CANONICAL, LOCK)
    assert exactly_problem(new) == ""


def test_what_horovod_would_need_today_does_not_matter_to_an_exact_repetition(ran, admin):
    spec = {**ran.spec_json, "framework_version": "2.21.0", "distributed_backend": "mpi"}
    Run.objects.filter(pk=ran.pk).update(spec_json=spec)
    ran.refresh_from_db()
    FrameworkVersion.objects.create(version="2.21.0", is_offered=False)
    with pytest.raises(SpecProblems, match="switched off"):
        run_again(ran, how=Again.UPDATED, actor=admin, submission_key="x")
    assert run_again(ran, how=Again.EXACTLY, actor=admin, submission_key="x")


def test_what_is_said_of_the_packages_stays_when_their_environment_is_deleted(ran):
    framework = {**CANONICAL["framework"], "pinned_by": "user"}
    ran.environment_spec = {**CANONICAL, "framework": framework}
    assert ran.environment is None
    assert "pinned by the run itself" in advice_of(ran)[0]
