"""The same wishes give the same environment until somebody updates them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from runs.environments import (
    environment_build,
    environment_delete,
    environment_of_unchanged,
    environment_request_locked,
    environment_update,
    request,
    revision_before,
    revision_newest,
)
from runs.environments.difference import difference
from runs.models import Environment
from runs.pipeline import advance
from runs.pipeline.advance import STEPS
from runs.states import Again, EnvironmentState, RunState
from tests.factories import make_run
from tests.runs.environments.index import Index

Order = Callable[..., Environment]


@pytest.fixture
def first(index: Index, order: Order, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """An environment of one package, of which a newer version has come out since."""
    index.add_wheel("leaf", "1.5")
    built = environment_build(order("leaf").pk)
    index.add_wheel("leaf", "1.6")
    monkeypatch.setattr(request, "environment_spec", lambda *_, **__: built.spec)
    return built


def asked_for(first: Environment) -> Environment:
    """What a run with these wishes gets."""
    return request.environment_request(None, first.target, None)


def test_an_update_resolves_anew_and_new_runs_take_it_once_it_is_built(first: Environment) -> None:
    assert asked_for(first) == first
    update = environment_update(first.spec, first.target)
    assert (update.revision, update.wishes, update.state) == (2, first.wishes, EnvironmentState.REQUESTED)
    assert asked_for(first) == first
    built = environment_build(update.pk)
    assert [(each.name, each.before, each.after) for each in difference(first.lock, built.lock)] == [
        ("leaf", "1.5", "1.6")
    ]
    assert asked_for(first) == built
    assert revision_before(built) == first
    assert (revision_newest(first), revision_newest(built)) == (built, None)
    first.refresh_from_db()
    assert first.state == EnvironmentState.READY


def test_an_update_that_fails_takes_nothing_from_anybody(index: Index, first: Environment) -> None:
    update = environment_update(first.spec, first.target)
    files, index.files = index.files, {}
    failed = environment_build(update.pk)
    assert failed.state == EnvironmentState.FAILED
    assert asked_for(first) == first
    index.files = files
    again = environment_update(first.spec, first.target)
    assert (again, again.state) == (update, EnvironmentState.REQUESTED)
    assert environment_build(again.pk).state == EnvironmentState.READY


def test_updates_ordered_at_the_same_time_are_one(first: Environment) -> None:
    assert len({environment_update(first.spec, first.target).pk for _ in range(3)}) == 1
    assert Environment.objects.count() == 2


def test_an_update_of_an_update_is_the_next(first: Environment) -> None:
    second = environment_build(environment_update(first.spec, first.target).pk)
    third = environment_update(second.spec, first.target)
    assert third.revision == 3
    assert revision_before(third) == second


def test_without_any_revision_an_update_is_the_first(first: Environment) -> None:
    spec, target = first.spec, first.target
    environment_delete(first)
    assert environment_update(spec, target).digest == request.spec_digest(spec)


def test_an_environment_by_its_lock_is_no_revision_and_its_update_is_one(first: Environment, backend) -> None:
    spec, lock, target = first.spec, first.lock, first.target
    environment_delete(first)
    locked = environment_build(environment_request_locked(spec, lock, target, backend).pk)
    assert asked_for(first) != locked
    assert (revision_before(locked), revision_newest(locked)) == (None, None)
    assert environment_update(locked.spec, target) == asked_for(first)


def test_an_update_that_comes_to_the_same_versions_is_not_built(index: Index, first: Environment, build_log) -> None:
    del index.files["leaf-1.6-py3-none-any.whl"]
    update = environment_build(environment_update(first.spec, first.target).pk)
    assert (update.state, update.lock, update.path, update.error) == (EnvironmentState.UNCHANGED, "", "", "")
    assert "nothing to build" in build_log(update)
    assert not (Path(first.path).parent / update.digest).exists()
    assert asked_for(first) == first
    assert environment_of_unchanged(update) == first
    assert environment_build(update.pk).build_count == 1

    index.add_wheel("leaf", "1.7")
    again = environment_update(first.spec, first.target)
    assert (again, again.state) == (update, EnvironmentState.REQUESTED)
    assert environment_build(again.pk).state == EnvironmentState.READY
    assert asked_for(first) == update


def test_a_run_whose_update_changes_nothing_starts_in_what_was_there(first: Environment, monkeypatch) -> None:
    update = environment_update(first.spec, first.target)
    Environment.objects.filter(pk=update.pk).update(state=EnvironmentState.UNCHANGED)
    run = make_run(target=first.target, state=RunState.PREPARING, environment=update, again=Again.UPDATED)
    monkeypatch.setitem(STEPS, RunState.WAITING, lambda run: 5.0)
    advance(run.pk)
    run.refresh_from_db()
    assert (run.environment, run.lock, run.environment_spec) == (first, first.lock, first.spec)
    assert "came to the same versions" in " ".join(str(event) for event in run.events.all())


def test_without_what_was_there_the_wishes_are_resolved_once_more(first: Environment) -> None:
    update = environment_update(first.spec, first.target)
    Environment.objects.filter(pk=update.pk).update(state=EnvironmentState.UNCHANGED)
    update.refresh_from_db()
    environment_delete(first)
    ordered = environment_of_unchanged(update)
    assert (ordered.revision, ordered.state) == (1, EnvironmentState.REQUESTED)
