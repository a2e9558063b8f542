"""Bytecode is compiled once for a package, and every environment with that package has it."""

import subprocess
from pathlib import Path

import pytest

from runs.environments import environment_build
from runs.environments.toolbox import uv_cache
from runs.models import Environment
from runs.states import EnvironmentState
from tests.runs.environments.conftest import Order
from tests.runs.environments.index import Index

MODULE = "def where():\n    return where.__code__.co_filename\n"


def bytecode_of(environment: Environment, name: str) -> Path:
    (found,) = Path(environment.path).glob(f"lib/python3*/site-packages/__pycache__/{name}.*.pyc")
    return found


def said(environment: Environment, program: str) -> str:
    argv = [str(Path(environment.path) / "bin" / "python"), "-B", "-c", program]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def pair(index: Index, order: Order) -> tuple[Environment, Environment]:
    """Two environments, the second with one package more."""
    index.add_wheel("shared", "1.0", module=MODULE)
    index.add_wheel("more", "1.0")
    first = environment_build(order("shared").pk)
    second = environment_build(order("shared", "more").pk)
    assert (first.state, second.state) == (EnvironmentState.READY, EnvironmentState.READY), second.error
    return first, second


def test_the_next_environment_with_a_package_shares_its_bytecode(pair: tuple[Environment, Environment]) -> None:
    first, second = pair
    assert bytecode_of(first, "shared").samefile(bytecode_of(second, "shared"))
    assert bytecode_of(second, "more").stat().st_nlink > 1  # kept for a third
    kept = list(uv_cache().glob("archive-v*/*/__pycache__/shared.*.pyc"))
    assert any(each.samefile(bytecode_of(first, "shared")) for each in kept)


def test_shared_bytecode_is_valid_and_speaks_of_its_own_environment(pair: tuple[Environment, Environment]) -> None:
    first, second = pair
    program = "import shared, importlib.util as u; print(shared.where(), shared.__cached__, sep='\\n')"
    for environment in (first, second):
        where, cached = said(environment, program).splitlines()
        assert where.startswith(environment.path)
        assert Path(cached) == bytecode_of(environment, "shared")
    verbose = subprocess.run(
        [str(Path(second.path) / "bin" / "python"), "-v", "-c", "import shared"], capture_output=True, text=True
    ).stderr
    assert "code object from" in verbose
    assert f"code object from '{bytecode_of(second, 'shared')}'" in verbose


def test_bytecode_that_is_shared_can_be_written_by_nobody(pair: tuple[Environment, Environment]) -> None:
    assert bytecode_of(pair[0], "shared").stat().st_mode & 0o222 == 0


def test_a_module_that_is_no_python_is_passed_over(index: Index, order: Order) -> None:
    index.add_wheel("template", "1.0", module="def {{ name }}(): pass\n")
    environment = environment_build(order("template").pk)
    assert environment.state == EnvironmentState.READY
    assert not list(Path(environment.path).glob("lib/python3*/site-packages/__pycache__/template.*"))
