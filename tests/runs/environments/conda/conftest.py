import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from runs.environments.interpreters import Interpreter
from runs.models import Environment
from tests.runs.environments.conda.channel import Channel
from tests.runs.environments.conftest import Order
from tests.runs.environments.index import Index

CondaOrder = Callable[..., Environment]


@pytest.fixture
def channel(open_folder: Path) -> Channel:
    """An empty channel that the user who builds can read."""
    made = Channel(open_folder / "channel")
    made.write()
    return made


@pytest.fixture
def served(channel: Channel) -> Iterator[str]:
    """The channel's address over HTTP."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(channel.folder.parent)))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/{channel.folder.name}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def python_channel(channel: Channel, interpreter: Interpreter) -> Channel:
    """A channel with a Python."""
    channel.add_python(interpreter.path, interpreter.version)
    return channel


@pytest.fixture
def conda_order(order: Order, channel: Channel, interpreter: Interpreter, index: Index) -> CondaOrder:
    """``conda_order("numpy", ..., pip=["six"])``: the row of an environment with these conda packages of the channel,
    and these of pip: a small one when none is named, as a real environment has TensorFlow."""
    index.add_wheel("tiny", "1.0")

    def make(
        *packages: str, pip: tuple[str, ...] = ("tiny",), python: tuple[str, ...] = (), **more: Any
    ) -> Environment:
        conda = {
            "channels": [channel.url],
            "packages": list(packages),
            "python": list(python),
            "pythons": [interpreter.minor],
        }
        return order(*pip, conda={**conda, **more.pop("conda", {})}, **more)

    return make
