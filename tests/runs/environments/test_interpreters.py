import os
import shutil
import sys
from pathlib import Path

import pytest

from compute.backends.base import ComputeBackend
from runs.environments import interpreters
from runs.environments.interpreters import Interpreter, interpreter_choose, interpreter_same
from runs.errors import EnvironmentFailed

ALL = ["3.10", "3.11", "3.12", "3.13"]


def test_the_python_that_is_found_says_what_it_is(interpreter: Interpreter) -> None:
    assert interpreter.minor in ALL
    assert interpreter.implementation == "cpython"
    assert interpreter.path.is_absolute()
    assert "path" not in interpreter.identity


def test_the_same_python_is_found_again_by_its_identity(backend: ComputeBackend, interpreter: Interpreter) -> None:
    assert interpreter_same(backend, interpreter.identity) == interpreter


def test_a_python_that_went_away_is_named(backend: ComputeBackend, interpreter: Interpreter) -> None:
    with pytest.raises(EnvironmentFailed, match=r"Python 3\.11\.99.*not on the machine any more"):
        interpreter_same(backend, {**interpreter.identity, "version": "3.11.99"})


def test_without_a_fitting_python_the_message_says_what_to_install(backend: ComputeBackend) -> None:
    with pytest.raises(EnvironmentFailed, match=r"TensorFlow 9 needs Python 3\.99 .*None was found.*apt-get install"):
        interpreter_choose(backend, ["3.99"], wanted_by="TensorFlow 9")


def test_the_newest_that_really_runs_is_taken(
    backend: ComputeBackend, interpreter: Interpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What only looks like a newer Python is passed over."""
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(0o755)
    newer = tmp_path / "python3.99"
    newer.write_text("#!/bin/sh\necho '{}'\n")
    newer.chmod(0o755)
    monkeypatch.setattr(interpreters, "PLACES", (str(tmp_path), *interpreters.PLACES))
    assert interpreter_choose(backend, [*ALL, "3.99"], wanted_by="It") == interpreter


@pytest.mark.needs("root")
def test_a_python_that_only_the_server_can_run_is_passed_over_and_named(
    backend: ComputeBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copy(os.path.realpath(sys.executable), closed / f"python{minor}")
    monkeypatch.setattr(interpreters, "PLACES", (str(closed), "/nonexistent"))
    monkeypatch.setattr(sys, "_base_executable", str(closed / f"python{minor}"))
    with pytest.raises(EnvironmentFailed, match=r"the user that builds cannot run it: .*/closed/python"):
        interpreter_choose(backend, [minor], wanted_by="It")
