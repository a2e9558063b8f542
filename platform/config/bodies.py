"""How much a request may bring: looked at before Django takes its body, which it writes to the disk whole.

Uploads of source may be large, and only from somebody who is signed in. Tasks bring their frames elsewhere.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from http.cookies import CookieError
from importlib import import_module
from typing import Any

from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest, parse_cookie

from runs.snapshots.archive import ZIP_FACTOR

#: Everything but uploads: more than Django takes of fields (DATA_UPLOAD_MAX_MEMORY_SIZE).
ORDINARY_BYTES = 25 * 1024 * 1024
#: From somebody who is not signed in: a form with a name and a password.
STRANGER_BYTES = 1024 * 1024
#: What a form has beside its file.
_FIELDS_BYTES = 25 * 1024 * 1024
_UPLOADS = ("/runs/new", "/api/v1/uploads/")
#: A browser shows an answer only when it could send its request; so long is what it sends thrown away.
_PATIENCE_S = 20.0

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]


def limited(application: Application) -> Application:
    """``application`` for HTTP, with 413 for a request that brings more than it may, declared or not."""

    async def entrance(scope: Any, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"")
        expected = int(declared) if declared.isdigit() and len(declared) < 20 else None
        if expected is None and b"transfer-encoding" not in headers and not declared:
            return await application(scope, receive, send)  # no body at all
        most = body_limit(scope["path"])
        if (expected is None or expected > STRANGER_BYTES) and not await database_sync_to_async(_is_signed_in)(headers):
            most = STRANGER_BYTES
        if expected is not None and expected > most:
            return await _refuse(scope, receive, send, most)
        counted = _Counted(receive, send, most)
        await application(scope, counted.receive, counted.send)
        if counted.is_over and not counted.has_answered:
            await _refuse(scope, receive, send, most)

    return entrance


def body_limit(path: str) -> int:
    """The most bytes that a request of a signed-in person to ``path`` may bring."""
    if path.startswith(_UPLOADS):
        return ZIP_FACTOR * settings.ENV.snapshot_max_bytes + _FIELDS_BYTES
    return ORDINARY_BYTES


class _Counted:
    """Counts what comes in. Past the limit it says that the client has gone, so that Django drops what it has."""

    def __init__(self, receive: Receive, send: Send, most: int) -> None:
        self._receive = receive
        self._send = send
        self._left = most
        self.is_over = False
        self.has_answered = False

    async def receive(self) -> dict[str, Any]:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            self.is_over = True
            return {"type": "http.disconnect"}
        return message

    async def send(self, message: Any) -> None:
        self.has_answered = True
        await self._send(message)


async def _refuse(scope: Any, receive: Receive, send: Send, most: int) -> None:
    try:
        await asyncio.wait_for(_thrown_away(receive), _PATIENCE_S)
    except asyncio.TimeoutError:
        pass  # it hears the answer or the end of the line
    words = f"The request is too large: {most / 1024**2:,.0f} MB are allowed here."
    if most == STRANGER_BYTES:
        words += " Sign in to send more."
    is_api = scope["path"].startswith("/api/")
    body = json.dumps({"error": words}) if is_api else words
    kind = "application/json" if is_api else "text/plain; charset=utf-8"
    headers = {
        "content-type": kind,
        "content-length": str(len(body)),
        "connection": "close",
        "x-content-type-options": "nosniff",
    }
    start = {"type": "http.response.start", "status": 413}
    await send({**start, "headers": [(name.encode(), value.encode()) for name, value in headers.items()]})
    await send({"type": "http.response.body", "body": body.encode()})


async def _thrown_away(receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return


def _is_signed_in(headers: dict[bytes, bytes]) -> bool:
    try:
        cookies = parse_cookie(headers.get(b"cookie", b"").decode("latin-1"))
    except CookieError:
        return False
    request = HttpRequest()
    key = cookies.get(settings.SESSION_COOKIE_NAME)
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    return bool(key) and get_user(request).is_authenticated
