"""Frames as a harness makes them, and calls of the ingest without a network."""

import asyncio
import json
from typing import Any

from runs.api.ingest import application


def frame(*segments: tuple[str, int, bytes] | tuple[str, int, bytes, bool], **head: Any) -> bytes:
    """A frame's bytes; a segment is stream, offset, data and, at a stream's end, True."""
    listed = [
        {"stream": stream, "offset": offset, "size": len(data), "eof": bool(rest)}
        for stream, offset, data, *rest in segments
    ]
    line = json.dumps({"v": 1, "segments": listed, **head}).encode()
    return b"".join([line, b"\n", *(segment[2] for segment in segments)])


def post(
    body: bytes, token: str = "", *, method: str = "POST", headers: dict[bytes, bytes] | None = None, piece: int = 65536
) -> tuple[int, dict[str, Any], int]:
    """What the ingest answers: status, JSON, and how many pieces of the body it read."""
    pieces = [body[place : place + piece] for place in range(0, len(body), piece)] or [b""]
    read, sent = [], []

    async def receive() -> dict[str, Any]:
        read.append(1)
        return {"type": "http.request", "body": pieces[len(read) - 1], "more_body": len(read) < len(pieces)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    given = {b"authorization": f"Bearer {token}".encode(), **(headers or {})}
    scope = {"type": "http", "method": method, "path": "/api/v1/ingest", "headers": list(given.items())}
    asyncio.run(application(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"]), len(read)
