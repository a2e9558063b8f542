"""Several builders at once, and builders that are killed."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

from runs.environments import environment_build, environment_is_being_built, environment_is_intact
from runs.states import EnvironmentState
from tests.runs.environments.conftest import Builder, Order, held_at
from tests.runs.environments.index import Index


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
