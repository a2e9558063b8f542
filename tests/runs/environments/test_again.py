"""The environment of an earlier run once more: by its lock, on its Python, from what the index still has."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from compute.backends.base import ComputeBackend
from runs.environments import (
    environment_build,
    environment_delete,
    environment_is_intact,
    environment_request_locked,
    interpreters,
    python_differs,
)
from runs.environments.difference import lock_versions
from runs.environments.interpreters import Interpreter
from runs.environments.realised import mark_remove
from runs.environments.toolbox import uv_cache
from runs.errors import EnvironmentFailed
from runs.models import Environment
from runs.states import EnvironmentState
from tests.runs.environments.index import Index

Order = Callable[..., Environment]
Log = Callable[[Environment], str]


@pytest.fixture
def first(index: Index, order: Order) -> Environment:
    """An environment of tree and its leaf, after which newer ones have come out."""
    index.add_wheel("leaf", "1.5")
    index.add_wheel("tree", "2.0", requires=("leaf",))
    built = environment_build(order("tree").pk)
    assert built.state == EnvironmentState.READY
    index.add_wheel("leaf", "1.6")
    index.add_wheel("tree", "2.1", requires=("leaf",))
    return built


def again(first: Environment, backend: ComputeBackend) -> Environment:
    return environment_request_locked(first.spec, first.lock, first.target, backend)


def as_if_never_seen() -> None:
    """The build user's cache of the index is gone."""
    shutil.rmtree(uv_cache(), ignore_errors=True)


def test_an_environment_that_still_has_the_lock_is_used_as_it_is(first: Environment, backend: ComputeBackend) -> None:
    found = again(first, backend)
    assert (found.pk, found.state, found.build_count) == (first.pk, EnvironmentState.READY, 1)


def test_a_deleted_environment_is_built_from_the_lock_and_not_resolved(first, backend, build_log: Log) -> None:
    environment_delete(first)
    ordered = again(first, backend)
    assert ordered.state == EnvironmentState.REQUESTED
    assert ordered.digest != first.digest
    built = environment_build(ordered.pk)
    assert (built.state, built.error, built.lock) == (EnvironmentState.READY, "", first.lock)
    assert lock_versions(built.lock) == {"leaf": "1.5", "tree": "2.0"}
    assert "nothing is resolved" in build_log(built)
    assert again(built, backend).pk == built.pk


def test_one_that_holds_something_else_by_now_is_left_alone(first: Environment, backend: ComputeBackend) -> None:
    Environment.objects.filter(pk=first.pk).update(lock="leaf==9\n")
    ordered = again(first, backend)
    assert ordered.pk != first.pk
    assert environment_build(ordered.pk).lock == first.lock


def test_what_was_built_once_is_built_again_as_it_was(first: Environment, backend: ComputeBackend) -> None:
    mark_remove(Path(first.path))
    assert not environment_is_intact(first)
    ordered = again(first, backend)
    assert (ordered.pk, ordered.state) == (first.pk, EnvironmentState.REQUESTED)
    assert environment_build(ordered.pk).lock == first.lock


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("gone", "The lock has leaf==1.5, which the package index no longer has."),
        ("another version", "The lock has leaf==1.5, which the package index no longer has."),
        ("other content", "The lock has leaf==1.5 with another SHA-256 than what the package index gives now"),
    ],
)
def test_what_the_index_no_longer_gives_is_named(index: Index, first, backend, change: str, words: str) -> None:
    environment_delete(first)
    del index.files["leaf-1.5-py3-none-any.whl"]
    if change == "gone":
        del index.files["leaf-1.6-py3-none-any.whl"]
    if change == "other content":
        index.add_wheel("leaf", "1.5", module="stolen = True\n")
    as_if_never_seen()
    failed = environment_build(again(first, backend).pk)
    assert failed.state == EnvironmentState.FAILED
    assert failed.error.startswith(words)
    assert "Run again with updated packages" in failed.error


def test_another_patch_of_the_same_python_takes_its_place(
    first: Environment, backend: ComputeBackend, interpreter: Interpreter
) -> None:
    before = {**first.spec, "python": {**interpreter.identity, "version": f"{interpreter.minor}.99"}}
    ordered = environment_request_locked(before, first.lock, first.target, backend)
    assert ordered.pk == first.pk
    assert python_differs(ordered.spec, before) == (
        f"Python {interpreter.version} stands in for {interpreter.minor}.99, which is not on the machine any more."
    )
    assert python_differs(ordered.spec, first.spec) == ""


@pytest.mark.parametrize("change", [{"version": "3.2.1"}, {"machine": "vax"}, {"soabi": "cpython-2"}])
def test_a_python_that_does_not_fit_is_not_taken(order: Order, backend: ComputeBackend, change) -> None:
    ordered = order("tree")
    before = {**ordered.spec, "python": {**ordered.spec["python"], **change}}
    with pytest.raises(EnvironmentFailed, match=r"The lock was made on Python .* updated packages"):
        environment_request_locked(before, "tree==2.0\n", ordered.target, backend)


def test_an_address_that_is_no_longer_allowed_is_refused(order: Order, backend: ComputeBackend) -> None:
    ordered = order("tree")
    before = {**ordered.spec, "packages": ["leaf @ https://example.org/leaf.whl"]}
    with pytest.raises(EnvironmentFailed, match="names an address"):
        environment_request_locked(before, "tree==2.0\n", ordered.target, backend)


def test_the_same_python_is_preferred_to_a_near_one(monkeypatch, backend: ComputeBackend, interpreter) -> None:
    near = dataclasses.replace(interpreter, version=f"{interpreter.minor}.99")
    monkeypatch.setattr(interpreters, "_candidates", lambda pythons: iter([("near", "x"), ("same", "x")]))
    monkeypatch.setattr(interpreters, "_remembered", lambda backend, path: {"near": near, "same": interpreter}[path])
    assert interpreters.interpreter_again(backend, interpreter.identity) == interpreter
