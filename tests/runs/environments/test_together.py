"""An environment with everything at once: conda packages on a Python of conda, packages of the source, Horovod."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from compute.backends.base import ComputeBackend
from compute.models import ComputeTarget
from runs.environments import environment_build, environment_is_intact, environment_request_locked
from runs.environments.conda.records import lock_conda
from runs.environments.horovod.recipe import VERSION, recipe_revision
from runs.environments.horovod.store import WheelStore
from runs.environments.interpreters import Interpreter
from runs.environments.lock import lock_horovod, lock_packages, lock_sources
from runs.environments.revisions import environment_update
from runs.environments.sources import Source
from runs.models import Environment
from runs.states import EnvironmentState
from tests.runs.environments.conda.channel import Channel
from tests.runs.environments.conda.conftest import *  # noqa: F403
from tests.runs.environments.conftest import Order
from tests.runs.environments.horovod.conftest import *  # noqa: F403
from tests.runs.environments.horovod.conftest import Compiler, Machine
from tests.runs.environments.index import Index
from tests.runs.environments.test_source_builds import below, package, with_sources

SAYS = "import numbers_of_conda as n, leaf, mine, horovod; print(n.version, n.origin, mine.answer)"


def said(environment: Environment) -> str:
    python = Path(environment.path) / "bin" / "python"
    done = subprocess.run([python, "-c", SAYS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_conda_sources_and_horovod_together_and_exactly_so_again(
    index: Index,
    order: Order,
    python_channel: Channel,
    interpreter: Interpreter,
    compiler: Compiler,
    store: WheelStore,
    machine: Machine,
    target: ComputeTarget,
    backend: ComputeBackend,
    build_log: Callable[[Environment], str],
) -> None:
    python_channel.add_python_module("numbers-of-conda", "1.26")
    for name, version in (("tensorflow_cpu", "2.21.0"), ("leaf", "1.5")):
        index.add_wheel(name, version)
    first = with_sources(
        order(
            "tensorflow-cpu==2.21.0",
            "leaf",
            conda={
                "channels": [python_channel.url],
                "packages": ["numbers-of-conda"],
                "python": [],
                "pythons": [interpreter.minor],
            },
            horovod={
                **{"version": VERSION, "requires": [], "mpi": machine.mpi, "operations": "cpu"},
                **{"recipe": recipe_revision(), "module": "0"},
            },
        ),
        below("pkg", package(module="answer = 42")),
        Source(path="pkg", where="r.txt:1"),
    )
    built = environment_build(first.pk)
    assert (built.state, built.error) == (EnvironmentState.READY, "")
    assert [record.name for record in lock_conda(built.lock)] == ["numbers-of-conda", "python"]
    assert [source.name for source in lock_sources(built.lock)] == ["mine"]
    assert lock_horovod(built.lock)["tensorflow"] == "2.21.0"
    assert lock_packages(built.lock) == ["leaf==1.5", "tensorflow-cpu==2.21.0", "mine==1.0", f"horovod=={VERSION}"]
    assert said(built) == "1.26 conda 42"

    python_channel.add_python_module("numbers-of-conda", "1.27")
    index.add_wheel("leaf", "1.6")
    again = environment_build(
        environment_request_locked({**built.spec, "nonce": "again"}, built.lock, target, backend).pk
    )
    assert (again.state, again.error) == (EnvironmentState.READY, "")
    assert again.pk != built.pk
    assert again.lock == built.lock
    assert "nothing is resolved" in build_log(again)
    assert said(again) == "1.26 conda 42"
    assert environment_is_intact(again)

    Environment.objects.filter(pk=built.pk).update(wishes="")
    built.save()
    updated = environment_build(environment_update(built.spec, target).pk)
    assert (updated.state, updated.error) == (EnvironmentState.READY, "")
    assert "leaf==1.6" in lock_packages(updated.lock)
    assert said(updated) == "1.27 conda 42"
    assert len(compiler.keys) == 1
