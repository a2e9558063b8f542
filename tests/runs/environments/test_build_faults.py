"""What goes wrong around a build: the network, the disk, its files, its builder, and ten runs at once."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from compute.backends.base import ComputeBackend
from runs.environments import environment_build, environment_is_intact, environment_ref
from runs.environments.lock import lock_packages
from runs.environments.request import environment_order
from runs.models import Environment
from runs.states import EnvironmentState
from tests.conftest import missing
from tests.runs.environments.conftest import Builder, Order, held_at
from tests.runs.environments.index import Index
from tests.runs.environments.test_builders import wait_until

Log = Callable[[Environment], str]

LEAF = "leaf-1.5-py3-none-any.whl"


def submitted_again(environment: Environment) -> Environment:
    """The environment after another run has asked for it, and its build."""
    return environment_build(environment_order(environment.spec, environment.target).pk)


@pytest.mark.parametrize(
    ("fault", "while_resolving", "words"),
    [
        ("cut", False, "The download of leaf==1.5 broke off: end of file before message length reached. Submit again."),
        (
            "stalled",
            False,
            "The download of leaf==1.5 broke off: Failed to download distribution due to network timeout",
        ),
        ("cut", True, "What came for the package leaf==1.5 cannot be read"),
        ("stalled", True, "the connection broke off, or the package index has a damaged file. Submit again"),
    ],
)
def test_a_network_that_goes_away_in_a_download_fails_the_build_and_the_next_run_builds(
    index: Index, order: Order, monkeypatch: pytest.MonkeyPatch, fault: str, while_resolving: bool, words: str
) -> None:
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "1")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    index.add_wheel("leaf", "1.5", module="x = 1\n" * 100_000)
    index.with_metadata = not while_resolving
    getattr(index, fault).add(LEAF)
    begun = time.monotonic()
    failed = environment_build(order("leaf").pk)
    assert failed.state == EnvironmentState.FAILED
    assert words in failed.error
    assert time.monotonic() - begun < 20
    getattr(index, fault).clear()
    assert submitted_again(failed).state == EnvironmentState.READY


@pytest.fixture
def tiny_disk(backend: ComputeBackend) -> Iterator[Path]:
    """The environments' folder on a file system of one megabyte."""
    folder = backend.environment_root()
    done = subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "tmpfs", str(folder)], check=False)
    if done.returncode != 0:
        missing("the right to mount a small file system")
    yield folder
    subprocess.run(["/bin/umount", "-l", str(folder)], check=True)


@pytest.mark.needs("root")
def test_a_disk_that_fills_up_fails_the_build_in_a_sentence_and_is_no_fault_of_the_platform(
    index: Index, order: Order, tiny_disk: Path
) -> None:
    index.add_wheel("leaf", "1.5", module="x = 1\n" * 1_000_000)
    failed = environment_build(order("leaf").pk)
    assert failed.state == EnvironmentState.FAILED
    assert failed.error == (
        "The disk of the machine that builds is full. Ask an administrator to free some space, then submit again."
    )
    subprocess.run(["/bin/mount", "-o", "remount,size=64m", str(tiny_disk)], check=True)
    assert submitted_again(failed).state == EnvironmentState.READY


def test_a_builder_that_is_killed_while_it_installs_leaves_nothing_that_counts(
    index: Index, order: Order, builder: Builder
) -> None:
    index.add_wheel("leaf", "1.5", module="x = 1\n" * 300_000)  # long to compile
    environment = order("leaf")
    process = builder(environment)
    folder = settings.DATA_DIR / "environments" / environment.digest
    wait_until(lambda: list(folder.glob("lib/python3*/site-packages/leaf.py")), what="the package is being installed")
    process.send_signal(signal.SIGKILL)
    process.wait()
    environment.refresh_from_db()
    assert environment.state == EnvironmentState.BUILDING
    built = environment_build(environment.pk)
    assert (built.state, built.build_count) == (EnvironmentState.READY, 2), built.error
    assert environment_is_intact(built)


def unsealed(environment: Environment, *inside: str) -> Path:
    """A folder of the environment in which things can be removed, root or not."""
    (site,) = Path(environment.path).glob("lib/python3*/site-packages")
    folder = site.joinpath(*inside)
    folder.chmod(0o755)
    site.chmod(0o755)
    return folder


@pytest.mark.parametrize("damage", ["a module", "a package", "site-packages", "deep inside"])
def test_deleted_files_are_found_before_the_next_run_and_built_again(index: Index, order: Order, damage: str) -> None:
    index.add_wheel("leaf", "1.5", files={"grove/__init__.py": "", "grove/deep/__init__.py": "", "grove/deep/a.py": ""})
    built = environment_build(order("leaf").pk)
    assert environment_is_intact(built)
    site = unsealed(built)
    if damage == "a module":
        (site / "leaf.py").unlink()
    elif damage == "deep inside":
        (unsealed(built, "grove", "deep") / "a.py").unlink()
    else:
        place = site if damage == "site-packages" else site / "grove"
        place.parent.chmod(0o755)
        subprocess.run(["/bin/chmod", "-R", "u+w", str(place)], check=True)
        subprocess.run(["/bin/rm", "-r", str(place)], check=True)
    assert not environment_is_intact(built)
    again = submitted_again(built)
    assert (again.state, again.build_count) == (EnvironmentState.READY, 2), again.error
    assert environment_is_intact(again)


def test_bytecode_and_times_are_no_damage(index: Index, order: Order) -> None:
    index.add_wheel("leaf", "1.5")
    built = environment_build(order("leaf").pk)
    site = unsealed(built)
    subprocess.run(["/bin/chmod", "-R", "u+w", str(site / "__pycache__")], check=True)
    subprocess.run(["/bin/rm", "-r", str(site / "__pycache__")], check=True)
    os.utime(site)
    assert environment_is_intact(built)


def test_ten_runs_at_once_build_a_new_environment_once(index: Index, order: Order, gate: Path, build_log: Log) -> None:
    index.add_source("slow", "1.0", action=held_at(gate))
    environment = order("slow")

    def built(_: int) -> str:
        try:
            return environment_build(environment_order(environment.spec, environment.target).pk).state
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as runs:
        first = runs.submit(built, 0)
        wait_until((gate / "begun").exists, what="the build has begun")
        assert list(runs.map(built, range(9))) == [EnvironmentState.BUILDING] * 9
        (gate / "open").touch()
        assert first.result(60) == EnvironmentState.READY
    environment.refresh_from_db()
    assert environment.build_count == 1
    assert len((gate / "begun").read_text().split()) == 1
    assert build_log(environment).count("Ready: ") == 1


def test_a_shell_in_a_marker_is_a_word_like_any_other(index: Index, order: Order) -> None:
    index.add_wheel("leaf", "1.5")
    planted = settings.DATA_DIR / "build" / "home" / "planted"
    marker = f"os_name == '$(touch {planted})' or os_name == '; touch {planted} ;' or os_name == '`touch {planted}`'"
    built = environment_build(order("leaf", f"leaf ; {marker}").pk)
    assert (built.error, lock_packages(built.lock)) == ("", ["leaf==1.5"])
    assert not planted.exists()
    assert environment_ref(built).python.exists()


def test_what_a_package_prints_without_an_end_does_not_fill_the_disk(
    index: Index, order: Order, build_log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.environments.output.MOST_LOG_BYTES", 20_000)
    index.add_source("loud", "1.0", action="print(('word ' * 20 + '\\n') * 10_000); raise SystemExit('no more words')")
    built = environment_build(order("loud").pk)
    said = build_log(built)
    assert 20_000 <= len(said) < 25_000
    assert said.count("The log is full (20,000 bytes)") == 1
    assert said.splitlines()[-1].startswith("Failed: ")
    assert "no more words" in built.error
