"""Environments leave the disk, and never under a run that needs them."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from compute.models import ComputeTarget
from runs.environments import (
    environment_build,
    environment_delete,
    environment_evict,
    environment_is_intact,
    leftovers_remove,
    removal,
)
from runs.environments.build import environment_lock
from runs.environments.realised import MARK
from runs.environments.workshop import Workshop
from runs.errors import NotNow
from runs.models import Environment, Run, Stream
from runs.pipeline import advance
from runs.states import EndReason, EnvironmentState, RunState
from runs.stores.logs import log_path
from tests.factories import make_run
from tests.runs.environments.index import Index

Order = Callable[..., Environment]


@pytest.fixture
def built(index: Index, order: Order) -> Environment:
    """A real environment of one package, used two hours ago."""
    index.add_wheel("leaf", "1.5")
    environment = environment_build(order("leaf").pk)
    assert environment.state == EnvironmentState.READY
    age(environment, hours=2)
    return environment


def age(environment: Environment, *, hours: float) -> None:
    then = timezone.now() - timedelta(hours=hours)
    Environment.objects.filter(pk=environment.pk).update(created_at=then, ready_at=then, last_used_at=then)
    environment.refresh_from_db()


def an_hour_ago():
    return timezone.now() - timedelta(hours=1)


def arrive(environment: Environment) -> Run:
    """A run writes down that it needs the environment, and looks whether it is there."""
    run = make_run(target=environment.target, state=RunState.PREPARING, environment=environment)
    advance(run.pk)
    run.refresh_from_db()
    return run


def test_an_evicted_environment_keeps_its_lock_and_log_and_is_built_again(built: Environment) -> None:
    path, lock = Path(built.path), built.lock
    assert environment_evict(built, unused_since=an_hour_ago())
    assert not path.exists()
    built.refresh_from_db()
    assert (built.state, built.path, built.lock) == (EnvironmentState.EVICTED, "", lock)
    assert log_path(Stream.objects.get(environment=built).pk).exists()
    again = environment_build(built.pk)
    assert (again.state, again.path, again.lock) == (EnvironmentState.READY, str(path), lock)
    assert environment_is_intact(again)


def test_a_run_that_needs_an_evicted_environment_waits_for_its_build(built: Environment) -> None:
    assert environment_evict(built, unused_since=an_hour_ago())
    run = arrive(built)
    assert run.state == RunState.PREPARING
    environment_build(built.pk)
    advance(run.pk)
    run.refresh_from_db()
    assert run.lock == built.lock
    assert run.state != RunState.PREPARING


@pytest.mark.parametrize("state", [RunState.SUBMITTED, RunState.WAITING, RunState.RUNNING, RunState.STOPPING])
def test_what_an_unfinished_run_needs_is_neither_evicted_nor_deleted(built: Environment, state: str) -> None:
    run = make_run(target=built.target, state=state, environment=built)
    assert not environment_evict(built, unused_since=timezone.now())
    with pytest.raises(NotNow, match=str(run)):
        environment_delete(built)
    built.refresh_from_db()
    assert built.state == EnvironmentState.READY
    assert environment_is_intact(built)


@pytest.mark.parametrize("moment", ["before it withdraws", "after it withdrew"])
@pytest.mark.parametrize("way", ["evict", "delete"])
def test_a_run_that_arrives_in_the_middle_of_a_removal_keeps_its_environment(built, monkeypatch, moment, way) -> None:
    """The removal has looked and found nobody; then a run comes, before or after READY is taken away."""
    withdraw, runs = removal._withdraw, []

    def interrupted(rows, folder):
        if moment == "before it withdraws":
            runs.append(arrive(built))
        withdraw(rows, folder)
        if moment == "after it withdrew":
            runs.append(arrive(built))

    monkeypatch.setattr(removal, "_withdraw", interrupted)
    if way == "evict":
        assert not environment_evict(built, unused_since=an_hour_ago())
    else:
        with pytest.raises(NotNow, match=r"needs this environment"):
            environment_delete(built)
    built.refresh_from_db()
    assert environment_is_intact(built)
    assert built.state == EnvironmentState.READY
    (run,) = runs
    came_too_late = moment == "after it withdrew"
    assert (run.state == RunState.PREPARING) is came_too_late
    advance(run.pk)
    run.refresh_from_db()
    assert run.lock == built.lock


def test_a_run_that_arrives_when_the_files_are_gone_keeps_the_row_and_builds_it(built, monkeypatch) -> None:
    remove, runs = removal._files_remove, []

    def interrupted(environment, folder):
        remove(environment, folder)
        runs.append(arrive(built))

    monkeypatch.setattr(removal, "_files_remove", interrupted)
    with pytest.raises(NotNow):
        environment_delete(built)
    (run,) = runs
    assert run.state == RunState.PREPARING
    assert environment_build(built.pk).state == EnvironmentState.READY


def test_a_run_whose_environment_is_deleted_before_it_is_written_down_orders_it_anew(built, monkeypatch) -> None:
    digest = built.digest
    spec, target = built.spec, built.target

    def order_again(*args) -> Environment:
        return Environment.objects.get_or_create(target=target, digest=digest, defaults={"spec": spec})[0]

    def too_late(*args) -> Environment:
        found = order_again()
        environment_delete(found)
        return Environment(pk=built.pk, target=target, digest=digest, spec=spec)

    run = make_run(target=built.target)
    monkeypatch.setattr("runs.pipeline.prepare.environment_request", too_late)
    advance(run.pk)
    run.refresh_from_db()
    assert (run.state, run.fault_count) == (RunState.SUBMITTED, 0)
    monkeypatch.setattr("runs.pipeline.prepare.environment_request", order_again)
    advance(run.pk)
    run.refresh_from_db()
    assert run.state == RunState.PREPARING
    assert run.environment.digest == digest


def test_what_was_used_within_the_time_stays(built: Environment) -> None:
    Environment.objects.filter(pk=built.pk).update(last_used_at=timezone.now())
    assert not environment_evict(built, unused_since=an_hour_ago())
    age(built, hours=2)
    done = {"state": RunState.COMPLETED, "end_reason": EndReason.SUCCEEDED}
    make_run(target=built.target, environment=built, ended_at=timezone.now(), **done)
    assert not environment_evict(built, unused_since=an_hour_ago())
    assert environment_is_intact(built)


def test_what_is_being_built_is_not_touched(built: Environment) -> None:
    with environment_lock(built) as mine:
        assert mine
        assert not environment_evict(built, unused_since=an_hour_ago())
        with pytest.raises(NotNow, match="being built"):
            environment_delete(built)
    assert environment_is_intact(built)


def test_a_removal_keeps_builders_out_until_it_is_over(built: Environment, monkeypatch) -> None:
    remove, seen = removal._files_remove, []

    def watched(environment, folder):
        seen.append(environment_build(environment.pk).state)
        remove(environment, folder)

    monkeypatch.setattr(removal, "_files_remove", watched)
    assert environment_evict(built, unused_since=an_hour_ago())
    assert seen == [EnvironmentState.EVICTED]


def test_an_eviction_that_was_cut_short_is_taken_up_again(built: Environment, monkeypatch) -> None:
    path = Path(built.path)

    def killed(environment, folder):
        (folder / MARK).unlink()
        raise OSError("killed here")

    with monkeypatch.context() as patch:
        patch.setattr(removal, "_files_remove", killed)
        with pytest.raises(OSError, match="killed here"):
            environment_evict(built, unused_since=an_hour_ago())
    built.refresh_from_db()
    assert (built.state, built.path) == (EnvironmentState.EVICTED, str(path))
    assert environment_evict(built, unused_since=timezone.now())
    assert not path.exists()


def test_a_deleted_environment_leaves_nothing_but_what_its_runs_kept(built: Environment) -> None:
    done = {"state": RunState.COMPLETED, "end_reason": EndReason.SUCCEEDED}
    run = make_run(target=built.target, environment=built, lock=built.lock, **done)
    path, log = Path(built.path), log_path(Stream.objects.get(environment=built).pk)
    environment_delete(built)
    assert not path.exists()
    assert not log.exists()
    assert not Environment.objects.exists()
    run.refresh_from_db()
    assert "leaf==1.5" in run.lock


def test_files_that_another_target_uses_too_stay(built: Environment) -> None:
    other = ComputeTarget.objects.create(name="same folder")
    shared = Environment.objects.create(target=other, digest=built.digest, spec=built.spec)
    environment_build(shared.pk)
    shared.refresh_from_db()
    assert shared.path == built.path
    make_run(target=other, environment=shared, state=RunState.RUNNING)
    assert not environment_evict(built, unused_since=timezone.now())
    with pytest.raises(NotNow):
        environment_delete(built)
    Run.objects.update(state=RunState.CANCELLED)
    environment_delete(built)
    shared.refresh_from_db()
    assert shared.state == EnvironmentState.READY
    assert environment_is_intact(shared)


def test_what_a_failed_build_left_is_removed(index: Index, order: Order, built: Environment) -> None:
    index.add_source("broken", "1.0", action="raise SystemExit('no compiler')")
    failed = environment_build(order("broken").pk)
    assert failed.state == EnvironmentState.FAILED
    folder = Path(built.path).with_name(failed.digest)
    assert folder.exists()
    assert leftovers_remove(failed)
    assert not folder.exists()
    assert not leftovers_remove(failed)
    assert not leftovers_remove(built)
    assert environment_is_intact(built)


def test_what_a_killed_builder_was_handed_and_its_place_apart_go_with_the_leftovers(order: Order) -> None:
    environment = order("leaf")
    workshop = Workshop(environment)
    handed_over = Path(workshop.hand_over("secret.py", "of the source")).parent
    place = workshop.backend.build_apart(workshop.apart)
    assert not leftovers_remove(environment)  # somebody may come back to it
    Environment.objects.filter(pk=environment.pk).update(state=EnvironmentState.FAILED)
    with environment_lock(environment):
        assert not leftovers_remove(environment)
    assert leftovers_remove(environment)
    assert not handed_over.exists()
    assert not place.exists()
    assert not leftovers_remove(environment)
