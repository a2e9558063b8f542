"""What the form and a requirements file ask for together, and what is said of it."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compute.backends.base import ComputeBackend
from compute.models import ComputeTarget
from runs.environments import advice_before, advice_on, environment_request, keras_variables, wishes_of
from runs.environments.catalogue import shipped
from runs.environments.packages import packages_of, release_for
from runs.environments.request import environment_spec, spec_digest
from runs.errors import EnvironmentFailed
from runs.spec import RunSpec

NEWEST = shipped()[0].version
HASH = "sha256:" + "0" * 64


def files(**texts: str) -> Callable[[str, int], bytes | None]:
    """``requirements="…"`` is the file requirements.txt."""
    return lambda path, size: texts[path[:-4]].encode()[:size] if path[:-4] in texts else None


def from_file(text: str, *packages: str, **fields: object) -> tuple[RunSpec, Callable[[str, int], bytes | None]]:
    spec = RunSpec(pip_packages=packages, pip_requirements_file="requirements.txt", **fields)  # type: ignore[arg-type]
    return spec, files(requirements=text, limits="wrapt<2\ntensorflow==2.18.1\n")


def _described(backend: ComputeBackend, text: str, *packages: str) -> dict[str, Any]:
    spec, read = from_file(text, *packages)
    return environment_spec(spec, backend, read)


@pytest.mark.parametrize(
    ("text", "packages", "words"),
    [
        ("six==1.17", ("six==1.16",), "'six==1.16' (pip packages) and 'six==1.17' (requirements.txt:1) cannot both"),
        ("Six==1.17\nsix>=2", (), "'Six==1.17' (requirements.txt:1) and 'six>=2' (requirements.txt:2)"),
        ("tensorflow==2.18.1", ("tensorflow-cpu==2.19.1",), "tensorflow-cpu==2.19.1"),
        ("-c limits.txt\nwrapt==2.1", (), "'wrapt<2' (limits.txt:1)"),
        ("", ("six==1.16", "six==1.17"), "(pip packages) and 'six==1.17' (pip packages)"),
    ],
)
def test_lines_that_exclude_each_other_are_both_named(text: str, packages: tuple[str, ...], words: str) -> None:
    (problem,) = wishes_of(*from_file(text, *packages)).problems
    assert words in problem.message
    assert problem.field == ("pip_packages" if not text else "pip_requirements_file")


@pytest.mark.parametrize(
    "text",
    [
        "six==1.17\nsix>=1",
        "six==1.17\nsix==1.17.0",
        "six==1.17\nsix==1.*",
        "six==1.16 ; python_version < '3.12'\nsix==1.17 ; python_version >= '3.12'",
        "six>=1\nsix<2",
    ],
)
def test_lines_that_agree_or_are_for_different_machines_are_no_problem(text: str) -> None:
    assert wishes_of(*from_file(text)).problems == ()


def test_the_files_content_decides_the_environment_and_its_name_does_not(backend: ComputeBackend) -> None:
    def digest(name: str, text: str) -> str:
        spec = RunSpec(pip_requirements_file=f"{name}.txt")
        return spec_digest(environment_spec(spec, backend, files(**{name: text})))

    assert digest("a", "six\nWrapt>=1") == digest("b", "# other words\nwrapt >= 1\n\nsix\n")
    others = [digest("a", "six"), digest("a", f"six==1.0 --hash={HASH}"), digest("a", "six==1.0")]
    others += [digest("a", "six==1.1"), digest("a", "six\nWrapt>=1")]
    assert len(set(others)) == len(others)


def test_packages_of_the_form_and_of_the_file_are_one_set(backend: ComputeBackend) -> None:
    both = _described(backend, "six", "wrapt")
    assert both["packages"] == ["six", "wrapt"]
    assert spec_digest(both) == spec_digest(environment_spec(RunSpec(pip_packages=("wrapt", "six")), backend))


def test_constraints_and_hashes_reach_the_description(backend: ComputeBackend) -> None:
    described = _described(backend, f"-c limits.txt\nsix==1.17 --hash={HASH}")
    assert described["constraints"] == ["wrapt<2"]
    assert described["hashes"] == {"six": [HASH]}


def test_a_constraint_on_tensorflow_pins_it(backend: ComputeBackend) -> None:
    framework = _described(backend, "-c limits.txt")["framework"]
    assert framework == {"version": "2.18.1", "requirements": ["tensorflow==2.18.1"], "pinned_by": "user"}


def test_a_bad_file_fails_the_request_with_its_line(target: ComputeTarget, backend: ComputeBackend) -> None:
    spec, read = from_file("six\n--pre\n")
    with pytest.raises(EnvironmentFailed, match=r"requirements\.txt:2 has the option '--pre'"):
        environment_request(spec, target, backend, read)


def test_a_file_cannot_be_asked_for_without_a_snapshot(backend: ComputeBackend) -> None:
    with pytest.raises(ValueError, match="belongs to a snapshot"):
        environment_spec(RunSpec(pip_requirements_file="requirements.txt"), backend)


def test_a_pin_wins_over_the_chosen_version_and_the_form_says_so() -> None:
    advice = advice_before(*from_file("\ntensorflow==2.18.1", framework_version="2.20.0"))
    assert advice == [
        "TensorFlow is installed as 'tensorflow==2.18.1' (requirements.txt:2) says, which wins over the chosen version "
        "2.20.0."
    ]
    assert advice_before(RunSpec(pip_packages=("tensorflow", "pandas")), None) == []


def test_a_pin_wins_and_the_page_of_the_run_says_so(backend: ComputeBackend) -> None:
    pinned = environment_spec(RunSpec(pip_packages=("tensorflow==2.18.1",)), backend)
    assert advice_on(pinned, legacy_keras=False) == [
        "TensorFlow is pinned by the run itself (tensorflow==2.18.1), which wins over the platform's choice."
    ]
    assert advice_on(environment_spec(RunSpec(), backend), legacy_keras=False) == []
    assert advice_on({}, legacy_keras=True) == []


@pytest.mark.parametrize(
    ("version", "lines", "added"),
    [
        ("", (), ("tensorboard", f"tf-keras=={'.'.join(NEWEST.split('.')[:2])}.*")),
        ("2.16.2", (), ("tf-keras==2.16.*",)),
        ("2.15.1", (), ()),
        ("", ("tensorflow==2.18.0",), ("tf-keras==2.18.*",)),
        ("", ("tensorflow==2.14.1",), ("tensorboard",)),
        ("2.20.0", ("tf_keras==2.20.1",), ()),
    ],
)
def test_legacy_keras_adds_tf_keras_of_the_frameworks_version(
    version: str, lines: tuple[str, ...], added: tuple[str, ...]
) -> None:
    chosen = next((release for release in shipped() if release.version == version), shipped()[0])
    found = packages_of(lines, release_for(lines, chosen), gpu=False, machine="x86_64", legacy_keras=True)
    assert found.added == added


def test_legacy_keras_is_a_choice_of_the_environment(backend: ComputeBackend) -> None:
    digests = [spec_digest(environment_spec(RunSpec(legacy_keras=legacy), backend)) for legacy in (False, True)]
    assert digests[0] != digests[1]
    old = [
        spec_digest(environment_spec(RunSpec(legacy_keras=legacy, framework_version="2.15.1"), backend))
        for legacy in (False, True)
    ]
    assert old[0] == old[1]


def test_legacy_keras_is_explained_and_so_is_that_it_has_no_effect() -> None:
    (now,) = advice_before(RunSpec(legacy_keras=True, framework_version="2.18.1"), None)
    assert now == "Legacy Keras: tf_keras 2.18 is installed, and tf.keras is Keras 2 (TF_USE_LEGACY_KERAS=1)."
    (old,) = advice_before(RunSpec(legacy_keras=True, framework_version="2.15.1"), None)
    assert old == "Legacy Keras has no effect: with tensorflow-cpu==2.15.1, tf.keras is Keras 2 anyway."


@pytest.mark.parametrize(
    ("lock", "legacy", "variables"),
    [
        ("tensorflow-cpu==2.21.0\ntf-keras==2.21.0\n", True, {"TF_USE_LEGACY_KERAS": "1"}),
        ("tensorflow-cpu==2.21.0\ntf-keras==2.21.0\n", False, {}),
        ("tensorflow==2.15.1\ntf-keras==2.15.1\n", True, {}),
        ("tensorflow==2.15.1\n", True, {}),
        ("", True, {}),
    ],
)
def test_the_variable_is_set_where_tf_keras_is_and_keras_3_would_be(
    lock: str, legacy: bool, variables: dict[str, str]
) -> None:
    assert keras_variables(lock, legacy_keras=legacy) == variables


@pytest.mark.parametrize(
    ("line", "framework"),
    [
        ("tensorflow==2.18.1", "tensorflow[and-cuda]==2.18.1"),
        ("tensorflow-cpu==2.18.1", "tensorflow-cpu==2.18.1"),
        ("tensorflow", f"tensorflow[and-cuda]=={NEWEST}"),
    ],
)
def test_on_a_gpu_a_pin_keeps_its_version_and_gets_cuda(line: str, framework: str) -> None:
    found = packages_of((line,), release_for((line,), shipped()[0]), gpu=True, machine="x86_64")
    assert found.framework == (framework,)


def test_a_cpu_build_on_a_gpu_is_warned_of() -> None:
    advice = advice_before(RunSpec(use_gpu=True, pip_packages=("tensorflow-cpu==2.18.1",)), None)
    assert "tensorflow-cpu can use no GPU" in advice[-1]


@pytest.mark.parametrize(("legacy", "module"), [(True, "tf_keras."), (False, "keras.")])
def test_the_variable_makes_tf_keras_the_legacy_one_in_a_real_tensorflow(
    training_python: Path, legacy: bool, module: str
) -> None:
    def said(code: str, **variables: str) -> str:
        environ = {"PATH": os.environ["PATH"], "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", **variables}
        done = subprocess.run([training_python, "-c", code], env=environ, capture_output=True, text=True, check=True)
        return done.stdout

    lock = said("import importlib.metadata as m; [print(f'{d.name}=={d.version}'.lower()) for d in m.distributions()]")
    variables = keras_variables(lock.replace("tf_keras", "tf-keras"), legacy_keras=legacy)
    model = said("import tensorflow as tf; print(tf.keras.Model.__module__)", **variables)
    assert model.startswith(module)
