"""Several builders at once, and builders that are killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from runs.environments import environment_build, environment_is_being_built, environment_is_intact
from runs.models import Environment
from runs.states import EnvironmentState
from tests.runs.environments.index import Index

ROOT = Path(__file__).resolve().parents[3]
BUILD = (
    "import sys, django; django.setup()\n"
    "from runs.environments import environment_build\n"
    "print(environment_build(int(sys.argv[1])).state)\n"
)

Order = Callable[..., Environment]
Builder = Callable[[Environment], "subprocess.Popen[str]"]


@pytest.fixture
def builder() -> Iterator[Builder]:
    """Starts a process that builds an environment, as a worker would, on the test's database and data folder."""
    started: list[subprocess.Popen[str]] = []

    def start(environment: Environment) -> "subprocess.Popen[str]":
        environ = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "TRAINHOUSE_DATA_DIR": str(settings.DATA_DIR),
            "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
            "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("platform", "sdk", ".")),
        }
        process = subprocess.Popen(
            [sys.executable, "-c", BUILD, str(environment.pk)], env=environ, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A source package that holds its build until ``open`` is there writes ``begun`` here, with its process id."""
    folder = settings.DATA_DIR / "gate" / tmp_path.name
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    folder.parent.chmod(0o755)
    return folder


def held_at(gate: Path) -> str:
    return (
        f"open({str(gate / 'begun')!r}, 'a').write(str(os.getpid()) + ' ')"
        f"; [time.sleep(0.02) for _ in iter(lambda: os.path.exists({str(gate / 'open')!r}), True)]"
    )


def wait_until(condition: Callable[[], object], *, what: str) -> None:
    give_up_at = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up_at, f"in vain waited until {what}"
        time.sleep(0.02)


def test_two_processes_that_need_the_same_environment_build_it_once(
    index: Index, order: Order, builder: Builder, gate: Path
) -> None:
    index.add_source("slow", "1.0", action=held_at(gate))
    environment = order("slow")
    first = builder(environment)
    wait_until((gate / "begun").exists, what="the first has begun")
    assert environment_is_being_built(environment)
    second = builder(environment)
    assert second.communicate(timeout=60)[0].strip() == "building"
    (gate / "open").touch()
    assert first.communicate(timeout=60)[0].strip() == "ready"
    environment.refresh_from_db()
    assert (environment.state, environment.build_count) == (EnvironmentState.READY, 1)
    assert not environment_is_being_built(environment)
    assert len((gate / "begun").read_text().split()) == 1


def test_a_builder_that_is_killed_leaves_no_process_and_the_next_one_builds(
    index: Index, order: Order, builder: Builder, gate: Path
) -> None:
    index.add_source("slow", "1.0", action=held_at(gate))
    environment = order("slow")
    first = builder(environment)
    wait_until(lambda: (gate / "begun").exists() and (gate / "begun").read_text(), what="the build has begun")
    begun = int((gate / "begun").read_text())
    first.send_signal(signal.SIGKILL)
    first.wait()
    wait_until(lambda: not Path(f"/proc/{begun}").exists(), what="the package's build is dead too")
    environment.refresh_from_db()
    assert environment.state == EnvironmentState.BUILDING
    (gate / "open").touch()
    built = environment_build(environment.pk)
    assert (built.state, built.build_count) == (EnvironmentState.READY, 2), built.error
    assert environment_is_intact(built)
