import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from compute.backends.base import ComputeBackend
from compute.models import ComputeTarget
from compute.registry import backend_of
from runs.environments.interpreters import Interpreter, interpreter_choose
from runs.environments.request import spec_digest
from runs.models import Environment, Stream
from runs.stores.logs import log_read, log_size
from tests.runs.environments.index import Index

ROOT = Path(__file__).resolve().parents[3]
BUILD = (
    "import sys, django; django.setup()\n"
    "from runs.environments import environment_build\n"
    "print(environment_build(int(sys.argv[1])).state)\n"
)

Order = Callable[..., Environment]
Builder = Callable[[Environment], "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def _catalogue_as_shipped(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests without a database, in which nobody can have changed the catalogue."""
    if not {"db", "transactional_db"} & set(request.fixturenames):
        monkeypatch.setattr("runs.environments.catalogue._changes", dict)


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """A package index, and no other: the one that builds are told to ask."""
    for name in [name for name in os.environ if name.startswith(("UV_", "PIP_"))]:
        monkeypatch.delenv(name)
    for name in ("PIP_CONFIG_FILE", "NETRC", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, os.devnull)
    served = Index()
    monkeypatch.setenv("UV_DEFAULT_INDEX", served.url)
    yield served
    served.stop()


@pytest.fixture
def target(transactional_db: None) -> ComputeTarget:
    return ComputeTarget.objects.create(name="local")


@pytest.fixture
def backend(target: ComputeTarget) -> ComputeBackend:
    return backend_of(target)


@pytest.fixture
def interpreter(backend: ComputeBackend) -> Interpreter:
    return interpreter_choose(backend, ["3.10", "3.11", "3.12", "3.13"], wanted_by="The test")


@pytest.fixture
def order(target: ComputeTarget, interpreter: Interpreter) -> Order:
    """``order("six", ...)``: the row of an environment of these packages without TensorFlow, each its own. ``more`` are
    further keys of its description."""

    def make(*requirements: str, pinned_by: str = "platform", **more: object) -> Environment:
        spec = {
            "schema": 1,
            "framework": {"version": "0", "requirements": list(requirements), "pinned_by": pinned_by},
            "added": [],
            "packages": [],
            "python": interpreter.identity,
            "gpu": False,
            "nonce": uuid.uuid4().hex,
            **more,
        }
        return Environment.objects.create(target=target, digest=spec_digest(spec), spec=spec)

    return make


@pytest.fixture
def build_log() -> Callable[[Environment], str]:
    """What the build of an environment said."""

    def read(environment: Environment) -> str:
        stream = Stream.objects.get(environment=environment, name="build")
        return log_read(stream.pk, offset=0, size=log_size(stream.pk)).decode()

    return read


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
