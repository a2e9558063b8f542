"""What a request may bring, asked at the entrance: before anything of it lies on the disk."""

import asyncio
import json

import pytest
from asgiref.sync import async_to_sync
from django.test import Client

from config import bodies
from config.asgi import application

pytestmark = pytest.mark.django_db(transaction=True)

MB = 1024 * 1024


def post(path, pieces, *, client=None, declared=None):
    """Posts ``pieces`` to the real application; the status, the body, and how many pieces were asked for."""
    cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in (client.cookies if client else {}).items())
    headers = [(b"host", b"localhost"), (b"cookie", cookies.encode()), (b"content-type", b"application/octet-stream")]
    if declared is None:
        headers.append((b"transfer-encoding", b"chunked"))
    else:
        headers.append((b"content-length", str(declared).encode()))
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "server": ("localhost", 80),
        "client": ("127.0.0.1", 1),
        "scheme": "http",
        "http_version": "1.1",
    }
    waiting, sent, asked = list(pieces), [], 0

    async def receive():
        nonlocal asked
        if not waiting:
            await asyncio.sleep(3600)
        asked += 1
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    async def send(message):
        sent.append(message)

    async_to_sync(application)(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]), asked


@pytest.fixture
def spooled(monkeypatch):
    """How many bytes Django was handed in all."""
    found = []
    original = bodies._Counted.receive

    async def receive(self):
        message = await original(self)
        found.append(len(message.get("body", b"")))
        return message

    monkeypatch.setattr(bodies._Counted, "receive", receive)
    return found


@pytest.fixture
def signed_in(member):
    client = Client()
    client.force_login(member)
    return client


@pytest.mark.parametrize("path", ["/accounts/login/", "/runs/new", "/api/v1/uploads/zip", "/no/such/page"])
def test_a_stranger_may_send_a_form_and_no_more(path, spooled):
    status, body, _ = post(path, [b"x" * MB] * 3, declared=3 * MB)
    assert status == 413
    assert b"1 MB are allowed here. Sign in to send more." in body
    assert not spooled
    assert post(path, [b"x" * 1000], declared=1000)[0] != 413


def test_a_length_that_is_not_declared_is_counted(spooled):
    status, body, _ = post("/accounts/login/", [b"x" * (MB // 2)] * 5)
    assert status == 413
    assert b"Sign in" in body
    assert sum(spooled) <= MB


def test_a_cookie_of_nobody_opens_nothing(spooled):
    client = Client()
    client.cookies["sessionid"] = "a" * 32
    assert post("/runs/new", [b"x" * MB] * 2, client=client, declared=2 * MB)[0] == 413
    assert not spooled


def test_whoever_is_signed_in_may_upload_source_and_elsewhere_a_form(signed_in, settings, spooled):
    status, body, _ = post("/runs/1/cancel/", [b"x" * MB] * 26, client=signed_in, declared=26 * MB)
    assert (status, not spooled) == (413, True)
    assert b"25 MB are allowed here." in body
    assert post("/api/v1/uploads/zip", [b"x" * MB] * 26, client=signed_in, declared=26 * MB)[0] == 403  # no CSRF token
    assert sum(spooled) == 26 * MB


def test_the_largest_zip_is_a_setting_and_the_api_answers_in_json(signed_in, settings):
    most = bodies.body_limit("/api/v1/uploads/zip")
    assert most > 2 * settings.ENV.snapshot_max_bytes
    status, body, _ = post("/api/v1/uploads/zip", [b""], client=signed_in, declared=most + 1)
    assert status == 413
    assert json.loads(body)["error"].startswith("The request is too large: ")
