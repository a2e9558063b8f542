"""The wheel in the build of environments. The compiler is a stand-in; everything else is real."""

import dataclasses
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from runs.environments import environment_build
from runs.environments.horovod.key import WheelKey
from runs.environments.horovod.machine import Machine
from runs.environments.horovod.store import WheelStore, wheel_lock
from runs.environments.lock import lock_horovod, lock_packages
from runs.errors import EnvironmentFailed
from runs.models import Environment
from runs.states import EnvironmentState
from tests.runs.environments.horovod.conftest import Compiler
from tests.runs.environments.index import Index

#: A builder whose compilation lays down a half and does not end.
KILLED = """
import sys, django
django.setup()
from runs.environments import environment_build
from runs.environments.horovod import step

def compile(bench, *, folder, **_):
    script = f"mkdir -p {folder} && touch {folder}/half && echo begun && sleep 600"
    bench.command(["/bin/sh", "-c", script], what="Compiling", each_line=lambda line: print(folder, flush=True) or True)

step.wheel_compile = compile
environment_build(int(sys.argv[1]))
"""

Order = Callable[..., Environment]
Log = Callable[[Environment], str]


@pytest.fixture
def index(index: Index, store: WheelStore) -> Index:
    """With a TensorFlow, and no wheel kept from the test before."""
    index.add_wheel("tensorflow_cpu", "2.21.0")
    index.add_wheel("leaf", "1.5")
    return index


def test_two_environments_share_one_wheel(
    index: Index, mpi_order: Order, compiler: Compiler, build_log: Log, machine: Machine
) -> None:
    first, second = environment_build(mpi_order().pk), environment_build(mpi_order("leaf").pk)
    assert (first.state, first.error) == (EnvironmentState.READY, "")
    assert (second.state, second.error) == (EnvironmentState.READY, "")
    assert compiler.keys == ["tensorflow-cpu==2.21.0"]
    assert f"Compiling Horovod 0.28.1 for tensorflow-cpu 2.21.0, {machine.mpi}, cpu, once" in build_log(first)
    assert "the wheel that was compiled before" in build_log(second)
    assert lock_horovod(first.lock) == lock_horovod(second.lock)
    for built in (first, second):
        assert "horovod==0.28.1" in lock_packages(built.lock)
        assert list(Path(built.path).glob("lib/python3*/site-packages/horovod/__init__.py"))
        assert list(Path(built.path).glob("lib/python3*/site-packages/trainhouse_horovod/__init__.py"))
        assert build_log(built).count("tried") == 1


def test_another_tensorflow_gets_a_wheel_of_its_own(index: Index, mpi_order: Order, compiler: Compiler) -> None:
    index.add_wheel("tensorflow_cpu", "2.20.0")
    environment_build(mpi_order().pk)
    older = mpi_order("leaf")
    older.spec["framework"]["requirements"] = ["tensorflow-cpu==2.20.0"]
    older.save(update_fields=["spec"])
    assert environment_build(older.pk).state == EnvironmentState.READY
    assert compiler.keys == ["tensorflow-cpu==2.21.0", "tensorflow-cpu==2.20.0"]


def test_two_builds_at_once_compile_once_and_one_waits(
    index: Index, mpi_order: Order, compiler: Compiler, build_log: Log
) -> None:
    first, second = mpi_order(), mpi_order("leaf")
    waits, progress = threading.Event(), []

    def during(folder: Path) -> None:
        thread.start()
        waits.wait(30)

    def build_second() -> None:
        watcher = threading.Thread(target=watch)
        watcher.start()
        environment_build(second.pk)
        watcher.join()
        connection.close()

    def watch() -> None:
        for _ in range(600):
            told = Environment.objects.get(pk=second.pk).progress
            if told.get("label", "").startswith("Waiting for another build"):
                progress.append(told)
                break
            threading.Event().wait(0.05)
        waits.set()
        connection.close()

    thread = threading.Thread(target=build_second)
    compiler.during = during
    environment_build(first.pk)
    thread.join()
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.error, second.error) == ("", "")
    assert compiler.keys == ["tensorflow-cpu==2.21.0"]
    assert progress[0]["phase"] == "horovod"
    assert "another build has compiled it meanwhile" in build_log(second)


def test_a_damaged_wheel_is_compiled_again(
    index: Index, mpi_order: Order, compiler: Compiler, store: WheelStore, build_log: Log
) -> None:
    environment_build(mpi_order().pk)
    [wheel] = store.root.glob("*/horovod-*.whl")
    wheel.write_bytes(b"damaged")
    second = environment_build(mpi_order("leaf").pk)
    assert (second.state, second.error) == (EnvironmentState.READY, "")
    assert len(compiler.keys) == 2
    assert "The wheel that is kept is damaged (its SHA-256 is another one)" in build_log(second)
    assert wheel.read_bytes() == compiler.content


def test_a_builder_that_is_killed_while_it_compiles_leaves_nothing_wrong(
    index: Index, mpi_order: Order, compiler: Compiler, store: WheelStore
) -> None:
    killed = mpi_order("leaf")
    environ = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "TRAINHOUSE_DATA_DIR": str(settings.DATA_DIR),
        "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-c", KILLED, str(killed.pk)]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    assert (folder / "half").is_file()
    process.kill()
    process.wait()
    found = []
    compiler.during = lambda folder: found.extend(sorted(os.listdir(folder)))
    built = environment_build(mpi_order().pk)
    assert (built.state, built.error) == (EnvironmentState.READY, "")
    assert found == ["wheel"]
    assert not folder.exists()
    assert environment_build(killed.pk).state == EnvironmentState.READY
    assert len(compiler.keys) == 1


def test_a_compilation_that_fails_keeps_nothing_and_the_next_tries_again(
    index: Index, mpi_order: Order, compiler: Compiler, store: WheelStore
) -> None:
    def fail(folder: Path) -> None:
        raise EnvironmentFailed("Compiling Horovod failed with exit code 1: no space for a joke")

    compiler.during = fail
    failed = environment_build(mpi_order("leaf").pk)
    assert failed.state == EnvironmentState.FAILED
    assert "no space for a joke" in failed.error
    assert not list(store.root.glob("*/*.whl"))
    compiler.during = lambda folder: None
    assert environment_build(mpi_order().pk).state == EnvironmentState.READY


def test_what_is_no_wheel_never_reaches_an_environment(index: Index, mpi_order: Order, compiler: Compiler) -> None:
    compiler.content = b"not a wheel"
    failed = environment_build(mpi_order().pk)
    assert failed.state == EnvironmentState.FAILED
    assert "which is no wheel" in failed.error


def test_a_wheel_of_an_mpi_that_is_gone_is_made_for_the_one_that_is_there_and_said(
    index: Index, mpi_order: Order, compiler: Compiler, build_log: Log, machine: Machine
) -> None:
    built = environment_build(mpi_order(mpi="Open MPI 3.1.0").pk)
    assert built.state == EnvironmentState.READY
    assert "Open MPI 3.1.0, cpu (recipe" in build_log(built)
    assert f"in its place comes Horovod 0.28.1 for tensorflow-cpu 2.21.0, {machine.mpi}" in build_log(built)
    assert lock_horovod(built.lock)["mpi"] == machine.mpi


def test_built_again_by_its_lock_it_gets_the_same_wheel(
    index: Index, mpi_order: Order, compiler: Compiler, build_log: Log
) -> None:
    first = environment_build(mpi_order().pk)
    again = mpi_order("leaf")
    again.spec = {**again.spec, "lock": first.lock}
    again.save(update_fields=["spec"])
    built = environment_build(again.pk)
    assert (built.state, built.error) == (EnvironmentState.READY, "")
    assert built.lock == first.lock
    assert len(compiler.keys) == 1


def test_an_environment_with_two_tensorflows_or_none_from_the_index_is_refused(
    index: Index, mpi_order: Order, compiler: Compiler
) -> None:
    index.add_wheel("tensorflow", "2.21.0")
    failed = environment_build(mpi_order("tensorflow").pk)
    assert "exactly one TensorFlow, and this environment has tensorflow==2.21.0, tensorflow-cpu==2.21.0" in failed.error


def test_the_progress_has_a_phase_of_its_own_and_never_goes_back(
    index: Index, mpi_order: Order, compiler: Compiler
) -> None:
    said: list[dict] = []
    environment = mpi_order()

    def during(folder: Path) -> None:
        said.append(Environment.objects.get(pk=environment.pk).progress)

    compiler.during = during
    built = environment_build(environment.pk)
    assert built.progress["percent"] == 100
    assert said[0]["phase"] in ("resolve", "horovod")


def test_the_lock_of_a_wheel_is_freed_by_the_death_of_its_holder(machine: Machine) -> None:
    key = WheelKey(tensorflow="t==1", python=(), mpi="", operations="cpu", edits=(), recipe="0")

    def never() -> None:
        raise AssertionError("somebody still holds it")

    child = os.fork()
    if child == 0:
        with wheel_lock(key, waiting=never):
            os._exit(0)
    os.waitpid(child, 0)
    with wheel_lock(key, waiting=never), pytest.raises(AssertionError), wheel_lock(key, waiting=never):
        pass
    assert json.dumps(key.digest)


def test_without_a_compiler_the_wheel_of_the_mpi_that_is_there_serves_an_environment_of_another_one(
    index: Index, mpi_order: Order, compiler: Compiler, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert environment_build(mpi_order().pk).state == EnvironmentState.READY
    without = dataclasses.replace(machine, programs={"mpirun": machine.programs["mpirun"]})
    monkeypatch.setattr("runs.environments.horovod.step.machine_look", lambda *_, **__: without)
    built = environment_build(mpi_order(mpi="Open MPI 3.1.0").pk)
    assert (built.state, built.error) == (EnvironmentState.READY, "")
    assert len(compiler.keys) == 1


def test_without_an_mpi_nothing_is_installed(
    index: Index, mpi_order: Order, compiler: Compiler, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = dataclasses.replace(machine, programs={}, mpi="")
    monkeypatch.setattr("runs.environments.horovod.step.machine_look", lambda *_, **__: without)
    failed = environment_build(mpi_order().pk)
    assert failed.error.startswith("Horovod runs over MPI, and the machine lacks mpirun.")
    assert not (settings.DATA_DIR / "environments" / failed.digest).exists()


def test_the_reason_of_a_failure_can_be_kept_by_every_database(
    index: Index, mpi_order: Order, compiler: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(bench: Any, python: Path, *, apart: str) -> None:
        bench.command(["/bin/sh", "-c", "printf 'error: no\\0word'; exit 1"], what="Trying", apart=apart)

    monkeypatch.setattr("runs.environments.horovod.step.wheel_try", odd)
    failed = environment_build(mpi_order().pk)
    assert failed.error == "Trying failed with exit code 1: no\ufffdword"
