import os
import uuid
from collections.abc import Callable, Iterator

import pytest

from compute.backends.base import ComputeBackend
from compute.models import ComputeTarget
from compute.registry import backend_of
from runs.environments.interpreters import Interpreter, interpreter_choose
from runs.environments.request import spec_digest
from runs.models import Environment, Stream
from runs.stores.logs import log_read, log_size
from tests.runs.environments.index import Index

Order = Callable[..., Environment]


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
