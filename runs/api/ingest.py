"""``POST /api/v1/ingest``: the wire's server end, as an ASGI application of its own in front of Django.

No middleware, no session: the sender is known by its token before a byte of the body is read. The work is done by a
few threads that keep their database connections.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import DatabaseError, close_old_connections

from runs.ingest.errors import FrameRefused, TaskOver
from runs.ingest.frame import FRAME_BYTES, parse
from runs.ingest.receive import receive as take
from runs.ingest.tokens import token_task

logger = logging.getLogger(__name__)

PATH = "/api/v1/ingest"
THREADS = 4
#: More requests than this at once are asked to come again.
WAITING = 256

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_pool = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="ingest")
_waiting = 0


class _TooLarge(Exception):
    """The body is larger than a frame may be."""


class _Gone(Exception):
    """The sender went away before the body was complete."""


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answers one request; the statuses are those of the wire protocol in docs/architecture.md."""
    try:
        status, answer = await _answer(scope, receive)
    except _Gone:
        return
    body = json.dumps(answer).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 405:
        headers.append((b"allow", b"POST"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _answer(scope: dict[str, Any], receive: Receive) -> tuple[int, dict[str, Any]]:
    global _waiting
    if scope["method"] != "POST":
        return 405, {"error": "Frames are sent with POST."}
    headers = dict(scope["headers"])
    task_id = _sender(headers.get(b"authorization", b""))
    if task_id is None:
        return 401, {"error": "The token is no task's of this server."}
    if _waiting >= WAITING:
        return 503, {"error": "The server has too much to do; come again."}
    _waiting += 1
    try:
        body = await _body(headers, receive)
        return await asyncio.get_running_loop().run_in_executor(_pool, _handle, task_id, body)
    except _TooLarge:
        return 413, {"error": f"The frame is larger than {FRAME_BYTES:,} bytes."}
    finally:
        _waiting -= 1


def _sender(authorization: bytes) -> int | None:
    scheme, _, token = authorization.decode("latin-1").partition(" ")
    return token_task(token.strip()) if scheme.lower() == "bearer" else None


async def _body(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > FRAME_BYTES:
        raise _TooLarge
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > FRAME_BYTES:
            raise _TooLarge
        if not message.get("more_body"):
            return b"".join(parts)


def _handle(task_id: int, body: bytes) -> tuple[int, dict[str, Any]]:
    close_old_connections()
    try:
        answer = take(task_id, parse(body))
    except FrameRefused as error:
        return 422, {"error": str(error)}
    except TaskOver as error:
        return 410, {"error": str(error)}
    except DatabaseError:
        logger.exception("A frame could not be stored; its task will send it again", extra={"task": task_id})
        return 503, {"error": "The database is not available; come again."}
    except Exception:
        logger.exception("A frame could not be taken; its task will send it again", extra={"task": task_id})
        return 500, {"error": "The server made a mistake; come again."}
    finally:
        close_old_connections()
    stop = None if answer.stop_grace_s is None else {"grace_s": answer.stop_grace_s}
    meeting = {"cluster": answer.cluster} if answer.meets else {}
    return 200, {"accepted": answer.accepted, "stop": stop, **meeting}
