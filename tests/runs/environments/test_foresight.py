"""What is said of packages before anything is built, with a real uv against an index of the test's own."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from compute.backends.base import ComputeBackend
from runs.environments.foresight import Finding, Outcome, packages_foresee
from runs.environments.interpreters import Interpreter
from runs.models import Environment
from tests.runs.environments.index import Index

Foresee = Callable[..., Finding]


@pytest.fixture
def foresee(backend: ComputeBackend, interpreter: Interpreter) -> Foresee:
    """``foresee("six", ...)``: what is found for these packages without TensorFlow."""

    def check(*packages: str, timeout_s: float = 20.0, **more: Any) -> Finding:
        canonical = {
            "framework": {"version": "0", "requirements": [], "pinned_by": "platform"},
            "added": [],
            "packages": list(packages),
            "python": interpreter.identity,
            **more,
        }
        return packages_foresee(canonical, backend, timeout_s=timeout_s)

    return check


def test_packages_that_can_be_had_are_named_with_their_versions(index: Index, foresee: Foresee) -> None:
    index.add_wheel("alpha", "1.5", requires=("beta",))
    index.add_wheel("beta", "2.0")
    found = foresee("alpha>=1")
    assert (found.outcome, found.remarks) == (Outcome.FOUND, ())
    assert found.sentence.startswith("All packages can be had: alpha 1.5, for Python 3.")
    assert found.sentence.endswith(" 2 packages in all.")
    assert Environment.objects.count() == 0


def test_the_framework_is_named_first(index: Index, foresee: Foresee) -> None:
    for name in ("tensorflow_cpu", "keras", *"abcdef"):
        index.add_wheel(name, "2.21.0", requires=("keras",) if name == "tensorflow_cpu" else ())
    framework = {"version": "2.21.0", "requirements": ["tensorflow-cpu==2.21.0"], "pinned_by": "platform"}
    found = foresee(*"abcdef", framework=framework)
    assert "TensorFlow 2.21.0, keras 2.21.0, a 2.21.0, b 2.21.0, c 2.21.0, and 3 more" in found.sentence


@pytest.mark.parametrize(
    ("packages", "words"),
    [
        (["alfa"], "The package index has no package 'alfa'."),
        (["beta>=9"], "only beta<=2.0 is available and you require beta>=9"),
        (["needs-old", "needs-new"], "The packages do not fit together. Because"),
        (["beta<2", "needs-new"], "The packages do not fit together. Because"),
        (["future"], "The package future==1.0 cannot be installed on this Python and machine"),
    ],
)
def test_what_cannot_be_had_is_said_in_the_words_of_a_build(
    index: Index, foresee: Foresee, packages: list[str], words: str
) -> None:
    index.add_wheel("beta", "1.0")
    index.add_wheel("beta", "2.0")
    index.add_wheel("needs_old", "1.0", requires=("beta<2",))
    index.add_wheel("needs_new", "1.0", requires=("beta>=2",))
    index.add_wheel("future", "1.0")
    index.files["future-1.0-cp399-cp399-any.whl"] = index.files.pop("future-1.0-py3-none-any.whl")
    found = foresee(*packages)
    assert found.outcome == Outcome.IMPOSSIBLE
    assert words in found.sentence


def test_constraints_and_hashes_of_the_file_count(index: Index, foresee: Foresee) -> None:
    index.add_wheel("beta", "1.0")
    index.add_wheel("beta", "2.0")
    assert "beta 1.0" in foresee("beta", constraints=["beta<2"]).sentence
    found = foresee("beta==1.0", hashes={"beta": ["sha256:" + "0" * 64]})
    assert found.outcome == Outcome.IMPOSSIBLE
    assert "beta==1.0 has another SHA-256" in found.sentence


@pytest.mark.parametrize("by", [["source"], ["holder"], ["mixed==2.0"]])
def test_no_code_of_a_package_runs_and_what_was_left_out_is_said(
    index: Index, foresee: Foresee, open_folder: Path, by: list[str]
) -> None:
    marker = open_folder / "ran"
    open_folder.chmod(0o777)
    action = f"open({str(marker)!r}, 'w')"
    index.add_source("source", "1.0", action=action)
    index.add_source("mixed", "2.0", action=action)
    index.add_wheel("mixed", "1.0")
    index.add_wheel("holder", "1.0", requires=("source", "beta"))
    index.add_wheel("beta", "1.0")
    found = foresee(*by, "beta")
    name = "mixed" if by == ["mixed==2.0"] else "source"
    assert found.outcome == Outcome.FOUND
    assert found.remarks == (f"Not checked: {name} has no wheel that fits, so it will be built from its source.",)
    assert "All other packages can be had: " in found.sentence
    assert "beta 1.0" in found.sentence
    assert not marker.exists()


def test_what_comes_from_an_address_is_not_fetched(index: Index, foresee: Foresee) -> None:
    index.add_wheel("beta", "1.0")
    found = foresee("beta", f"elsewhere @ http://127.0.0.1:{index.port}/files/elsewhere-1.0.tar.gz")
    assert found.remarks == ("Not checked: elsewhere comes from an address.",)
    assert not any("elsewhere" in path for path in index.requests)


def test_a_password_of_the_index_is_never_in_the_answer(
    index: Index, foresee: Foresee, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.password = "hunter22"
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
    index.add_wheel("beta", "1.0")
    assert foresee("beta").outcome == Outcome.FOUND
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.url.replace("hunter22", "wrong-one"))
    for found in (foresee("gamma"), foresee("alfa")):
        assert "hunter22" not in repr(found)
        assert "wrong-one" not in repr(found)


def test_an_index_that_does_not_answer_says_nothing_of_the_packages(
    index: Index, foresee: Foresee, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    index.stop()
    found = foresee("beta")
    assert found.outcome == Outcome.UNCHECKED
    assert found.sentence.startswith("The packages were not checked. The package index cannot be reached")


def test_an_index_that_hangs_is_given_up(foresee: Foresee, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{silent.getsockname()[1]}/simple")
        found = foresee("beta", timeout_s=1.5)
    assert found.outcome == Outcome.UNCHECKED
    assert "not checked to the end: the index took more than 2 s" in found.sentence
    assert list((settings.DATA_DIR / "tools" / "checks").iterdir()) == []


def test_a_python_that_is_gone_is_named(foresee: Foresee, interpreter: Interpreter) -> None:
    found = foresee("beta", python={**interpreter.identity, "version": "3.11.99"})
    assert found.outcome == Outcome.IMPOSSIBLE
    assert "Python 3.11.99" in found.sentence
