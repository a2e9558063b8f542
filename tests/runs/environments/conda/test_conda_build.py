"""Environments with packages from a channel, really built: solved, linked, with pip's packages on top."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from compute.backends.base import ComputeBackend
from compute.models import ComputeTarget
from compute.registry import backend_of
from runs.environments import environment_build, environment_ref, environment_request_locked
from runs.environments.conda.records import lock_conda
from runs.environments.interpreters import Interpreter
from runs.environments.lock import lock_packages
from runs.models import Environment
from runs.states import EnvironmentState
from tests.e2e.house import wait_for
from tests.runs.environments.conda.channel import PLACEHOLDER, Channel
from tests.runs.environments.conda.conftest import CondaOrder
from tests.runs.environments.conftest import Builder, held_at
from tests.runs.environments.index import Index

Log = Callable[[Environment], str]


def run(environment: Environment, *words: str) -> str:
    done = subprocess.run([environment_ref(environment).python, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_packages_of_a_channel_and_what_they_need_are_installed(
    channel: Channel, conda_order: CondaOrder, build_log: Log
) -> None:
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
    said = build_log(built)
    assert f"Conda channels: {channel.url}" in said
    assert " + leaf 1.5 0 (conda)" in said
    assert '{"conda"' not in said


def test_the_environments_path_replaces_the_placeholder_in_text_and_in_binaries(
    channel: Channel, conda_order: CondaOrder
) -> None:
    script = f"#!{PLACEHOLDER}/bin/python\nimport tiny\nprint(tiny.version)\n"
    library = f"rpath={PLACEHOLDER}/lib".encode() + b"\0end"
    files = {"bin/say": script, "lib/library.bin": library}
    channel.add("tool", "1.0", files=files, placeholders={"bin/say": "text", "lib/library.bin": "binary"})
    built = environment_build(conda_order("tool").pk)
    assert built.state == EnvironmentState.READY, built.error
    done = subprocess.run([Path(built.path) / "bin" / "say"], capture_output=True, text=True)
    assert done.stdout == "1.0\n", done.stderr
    content = (Path(built.path) / "lib" / "library.bin").read_bytes()
    assert content.startswith(f"rpath={built.path}/lib\0".encode())
    assert content.endswith(b"end")
    assert len(content) == len(library)


def test_python_comes_from_the_channel_with_pip_packages_on_top(
    python_channel: Channel, interpreter: Interpreter, index: Index, conda_order: CondaOrder
) -> None:
    python_channel.add_python_module("numbers-of-conda", "1.26", entry_points=("say = numbers_of_conda:say",))
    index.add_wheel("numbers_of_conda", "2.0")
    index.add_wheel("user", "3.0", requires=("numbers-of-conda",))
    built = environment_build(conda_order("numbers-of-conda", pip=("user",)).pk)
    assert (built.state, built.error) == (EnvironmentState.READY, "")
    assert [each.name for each in lock_conda(built.lock)] == ["numbers-of-conda", "python"]
    assert lock_packages(built.lock) == ["user==3.0"]
    assert built.python_version == interpreter.version
    script = "import numbers_of_conda as n, user, sys; print(n.version, n.origin, user.version, sys.prefix)"
    assert run(built, "-c", script) == f"1.26 conda 3.0 {built.path}"
    assert (Path(built.path) / "bin" / "say").exists()
    assert list(Path(built.path).glob("lib/python3*/site-packages/__pycache__/numbers_of_conda.*.pyc"))


def test_a_folder_of_packages_beside_the_index_counts_too(
    python_channel: Channel, index: Index, conda_order: CondaOrder, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python_channel.add_python_module("shared", "1.0")
    index.add_wheel("user", "3.0", requires=("shared",))
    wheel = index.files.pop("user-3.0-py3-none-any.whl")
    wheelhouse = open_folder / "wheels"
    wheelhouse.mkdir()
    (wheelhouse / "user-3.0-py3-none-any.whl").write_bytes(wheel)
    monkeypatch.setenv("UV_FIND_LINKS", str(wheelhouse))
    built = environment_build(conda_order("shared", pip=("user",)).pk)
    assert (built.state, built.error) == (EnvironmentState.READY, "")
    assert run(built, "-c", "import shared, user; print(shared.origin, user.version)") == "conda 3.0"


def test_what_pip_needs_in_another_version_than_conda_has_is_named(
    python_channel: Channel, index: Index, conda_order: CondaOrder
) -> None:
    python_channel.add_python_module("shared", "1.0")
    index.add_wheel("shared", "2.0")
    index.add_wheel("user", "3.0", requires=("shared>=2",))
    built = environment_build(conda_order("shared", pip=("user",)).pk)
    assert built.state == EnvironmentState.FAILED
    assert "do not fit together" in built.error
    assert "shared" in built.error


def test_the_lock_builds_the_same_packages_without_solving(
    channel: Channel, conda_order: CondaOrder, target: ComputeTarget, backend: ComputeBackend, build_log: Log
) -> None:
    channel.add("leaf", "1.5", files={"share/leaf.txt": "old"})
    first = environment_build(conda_order("leaf").pk)
    channel.add("leaf", "1.6", files={"share/leaf.txt": "new"})
    spec = {**first.spec, "nonce": "again"}
    again = environment_build(environment_request_locked(spec, first.lock, target, backend).pk)
    assert (again.state, again.error) == (EnvironmentState.READY, "")
    assert again.pk != first.pk
    assert again.lock == first.lock
    assert (Path(again.path) / "share" / "leaf.txt").read_text() == "old"
    assert "nothing is resolved" in build_log(again)
    assert "Conda channels" not in build_log(again)


def test_a_package_of_the_lock_that_changed_in_the_channel_is_not_installed(
    channel: Channel, conda_order: CondaOrder, target: ComputeTarget, backend: ComputeBackend
) -> None:
    channel.add("leaf", "1.5", files={"share/leaf.txt": "old"})
    first = environment_build(conda_order("leaf").pk)
    channel.add("leaf", "1.5", files={"share/leaf.txt": "another"})
    again = environment_request_locked({**first.spec, "nonce": "again"}, first.lock, target, backend)
    failed = environment_build(again.pk)
    assert "the conda channel gave for leaf is not what it announced (another SHA-256)" in failed.error


@pytest.mark.parametrize("over_http", [False, True])
def test_a_package_of_the_lock_that_the_channel_no_longer_has_is_named(
    channel: Channel,
    served: str,
    conda_order: CondaOrder,
    target: ComputeTarget,
    backend: ComputeBackend,
    over_http: bool,
) -> None:
    lock = f"# conda gone 1.5 0 {served if over_http else channel.url}/noarch/gone-1.5-0.conda sha256:{'0' * 64}\n"
    spec = {**conda_order("gone").spec, "nonce": "again"}
    failed = environment_build(environment_request_locked(spec, lock, target, backend).pk)
    assert "noarch/gone-1.5-0.conda, which its index or the lock names." in failed.error


@pytest.mark.needs("root")
def test_conda_runs_as_the_user_who_builds_and_no_other_can_write_there(
    python_channel: Channel, conda_order: CondaOrder
) -> None:
    python_channel.add_python_module("leaf", "1.0")
    built = environment_build(conda_order("leaf").pk)
    assert built.state == EnvironmentState.READY, built.error
    module = next(Path(built.path).glob("lib/python3*/site-packages/leaf.py"))
    assert module.stat().st_uid not in (0, os.getuid())
    writable = [path for path in Path(built.path).rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o022]
    assert writable == []
    script = "import leaf; open(leaf.__file__, 'a').write('x')"
    done = subprocess.run(
        [environment_ref(built).python, "-c", script], capture_output=True, text=True, user=200_001, group=200_001
    )
    assert "Permission denied" in done.stderr


def test_a_builder_that_was_killed_after_conda_was_installed_leaves_nothing_in_the_way(
    channel: Channel,
    index: Index,
    conda_order: CondaOrder,
    builder: Builder,
    gate: Path,
) -> None:
    channel.add("leaf", "1.5", files={"share/leaf.txt": "leaf"})
    index.add_source("held", "1.0", action=held_at(gate))
    environment = conda_order("leaf", pip=("held",))
    process = builder(environment)
    wait_for(lambda: (gate / "begun").exists(), timeout_s=60, what="pip's package being built")
    half_built = backend_of(environment.target).environment_root() / environment.digest
    assert (half_built / "share" / "leaf.txt").exists()
    process.kill()
    process.wait()
    (gate / "open").touch()
    again = environment_build(environment.pk)
    assert (again.state, again.error) == (EnvironmentState.READY, "")
    assert run(again, "-c", "import held; print('here')") == "here"
    assert (Path(again.path) / "share" / "leaf.txt").read_text() == "leaf"


def test_what_an_earlier_builder_left_is_built_anew(channel: Channel, conda_order: CondaOrder) -> None:
    channel.add("leaf", "1.5", files={"share/leaf.txt": "leaf"})
    built = environment_build(conda_order("leaf").pk)
    path = Path(built.path)
    path.chmod(0o755)
    (path / ".trainhouse-ready.json").unlink()
    (path / "share").chmod(0o755)
    (path / "share" / "leaf.txt").unlink()
    Environment.objects.filter(pk=built.pk).update(state=EnvironmentState.BUILDING)
    again = environment_build(built.pk)
    assert (again.state, again.error) == (EnvironmentState.READY, "")
    assert (path / "share" / "leaf.txt").read_text() == "leaf"
