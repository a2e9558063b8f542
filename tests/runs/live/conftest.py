"""Sockets on the real application, with the real Redis and real sessions."""

import asyncio
import json

import pytest
from asgiref.testing import ApplicationCommunicator
from django.test import Client

from config.asgi import application
from runs.states import RunState
from tests.factories import make_run, make_task, make_user


class Socket(ApplicationCommunicator):
    """A browser's end of the socket of a run."""

    def __init__(self, run_id, client, *, origin="http://testserver", host="testserver", path=None):
        cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
        headers = [(b"host", host.encode()), (b"cookie", cookies.encode())]
        if origin:
            headers.append((b"origin", origin.encode()))
        scope = {
            "type": "websocket",
            "path": path or f"/ws/runs/{run_id}/",
            "query_string": b"",
            "headers": headers,
            "subprotocols": [],
        }
        super().__init__(application, scope)

    async def connect(self):
        """Whether the server accepts."""
        await self.send_input({"type": "websocket.connect"})
        return (await self.receive_output(10))["type"] == "websocket.accept"

    async def disconnect(self):
        await self.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait(5)

    async def send(self, *, text=None, data=None):
        await self.send_input({"type": "websocket.receive", "text": text, "bytes": data})

    async def text(self, timeout_s=8.0):
        """The next message of the server."""
        event = await self.receive_output(timeout_s)
        assert event["type"] == "websocket.send", event
        return event["text"]

    async def watch(self, **cursors):
        await self.send(text=json.dumps({"type": "watch", **cursors}))

    async def frame(self, kind, timeout_s=8.0):
        """The next frame of this kind; those of other kinds before it are dropped."""
        give_up_at = asyncio.get_running_loop().time() + timeout_s
        while True:
            left_s = give_up_at - asyncio.get_running_loop().time()
            assert left_s > 0, f"no {kind} frame within {timeout_s} s"
            found = json.loads(await self.text(left_s))
            if found["type"] == kind:
                return found

    async def close_code(self, timeout_s=5.0):
        """With which code the server closes; frames before that are dropped."""
        while True:
            event = await self.receive_output(timeout_s)
            if event["type"] == "websocket.close":
                return event.get("code", 1000)


@pytest.fixture
def owner(db):
    return make_user(username="ada")


@pytest.fixture
def client_of(db):
    def signed_in(user):
        client = Client()
        client.force_login(user)
        return client

    return signed_in


@pytest.fixture
def run(owner):
    return make_run(owner=owner, state=RunState.RUNNING)


@pytest.fixture
def task(run):
    return make_task(run)


@pytest.fixture
def connect(run, owner, client_of, redis_server, settings):
    """``await connect()`` opens a socket of the run as its owner; keyword arguments change who and what."""
    settings.ALLOWED_HOSTS = ["testserver"]
    client = client_of(owner)

    async def opened(*, run_id=None, client=client, **headers):
        socket = Socket(run.pk if run_id is None else run_id, client, **headers)
        assert await socket.connect()
        return socket

    opened.client = client
    return opened
