"""Environments with packages from a channel, really built: solved, linked, with pip's packages on top."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from runs.environments import environment_build, environment_ref
from runs.environments.conda.records import lock_conda
from runs.environments.interpreters import Interpreter
from runs.environments.lock import lock_packages
from runs.models import Environment
from runs.states import EnvironmentState
from tests.runs.environments.conda.channel import Channel
from tests.runs.environments.conda.conftest import CondaOrder
from tests.runs.environments.index import Index

Log = Callable[[Environment], str]


@pytest.fixture(autouse=True)
def _tiny(index: Index) -> None:
    index.add_wheel("tiny", "1.0")


def run(environment: Environment, *words: str) -> str:
    done = subprocess.run([environment_ref(environment).python, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_packages_of_a_channel_and_what_they_need_are_installed(channel: Channel, conda_order: CondaOrder) -> None:
    channel.add("leaf", "1.5", files={"share/leaf.txt": "leaf"})
    channel.add("tree", "2.0", depends=("leaf >=1",), files={"share/tree.txt": "tree"}, suffix=".tar.bz2")
    built = environment_build(conda_order("tree").pk)
    assert (built.state, built.error) == (EnvironmentState.READY, "")
    path = Path(built.path)
    assert (path / "share" / "leaf.txt").read_text() == "leaf"
    assert (path / "share" / "tree.txt").read_text() == "tree"
    assert [(each.name, each.version) for each in lock_conda(built.lock)] == [("leaf", "1.5"), ("tree", "2.0")]
    assert lock_packages(built.lock) == ["tiny==1.0"]
    assert run(built, "-c", "import tiny; print(tiny.version)") == "1.0"


def test_python_comes_from_the_channel_with_pip_packages_on_top(
    python_channel: Channel, interpreter: Interpreter, index: Index, conda_order: CondaOrder, build_log: Log
) -> None:
    python_channel.add_python_module("numbers-of-conda", "1.26")
    index.add_wheel("numbers_of_conda", "2.0")
    index.add_wheel("user", "3.0", requires=("numbers-of-conda",))
    built = environment_build(conda_order("numbers-of-conda", pip=("user",)).pk)
    assert (built.state, built.error) == (EnvironmentState.READY, ""), build_log(built)
    assert [each.name for each in lock_conda(built.lock)] == ["numbers-of-conda", "python"]
    assert lock_packages(built.lock) == ["user==3.0"]
    assert built.python_version == interpreter.version
    script = "import numbers_of_conda as n, user, sys; print(n.version, n.origin, user.version, sys.prefix)"
    assert run(built, "-c", script) == f"1.26 conda 3.0 {built.path}"
