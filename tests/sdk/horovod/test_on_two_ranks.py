"""Real training by Horovod on two ranks, Keras 3 and tf_keras. Each script runs once; its checks are the tests."""

import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.sdk.horovod.ranks import checks_of, run_ranks

#: Each script with the environment variables that it needs.
SCRIPTS: dict[str, dict[str, str]] = {
    "optimizers": {},
    "tapes": {},
    "training": {},
    "legacy": {"TF_USE_LEGACY_KERAS": "1"},
}


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the script ``training`` leaves a model that a distributed optimizer trained."""
    return tmp_path_factory.mktemp("saved") / "model.keras"


@pytest.fixture(scope="module")
def outcomes(horovod_python: Path, saved_model: Path) -> Callable[[str], dict[str, dict]]:
    @cache
    def of(script: str) -> dict[str, dict]:
        environ = {**SCRIPTS[script], "SAVED_MODEL": str(saved_model)}
        return {each["check"]: each for each in run_ranks(horovod_python, script, **environ)}

    return of


@pytest.mark.parametrize(("script", "check"), [(script, check) for script in SCRIPTS for check in checks_of(script)])
def test_on_two_ranks(script: str, check: str, outcomes: Callable[[str], dict[str, dict]]) -> None:
    assert outcomes(script)[check]["errors"] == []


def test_a_saved_model_loads_where_there_is_no_horovod(
    training_python: Path, saved_model: Path, outcomes: Callable[[str], dict[str, dict]]
) -> None:
    outcomes("training")
    script = """
import sys, keras
model = keras.models.load_model(sys.argv[1])
print(type(model.optimizer), len(model.optimizer.variables), "horovod" in sys.modules)
"""
    command = [str(training_python), "-c", script, str(saved_model)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "<class 'keras.src.optimizers.adam.Adam'> 10 False", done.stderr
