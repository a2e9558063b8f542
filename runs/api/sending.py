"""Files as answers: streamed in pieces, resumable by Range, always a download and never a page.

The bytes come from other people's scripts. They are sent as an attachment, without sniffing and under a sandbox, so
that nothing in them ever runs in this site's name.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from typing import BinaryIO

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.http import content_disposition_header

PIECE_BYTES = 256 * 1024

_RANGE = re.compile(r"bytes=(?P<first>\d*)-(?P<last>\d*)")


def send_file(
    request: HttpRequest, file: BinaryIO, *, size_bytes: int, name: str, content_type: str, range_header: str = ""
) -> HttpResponse | StreamingHttpResponse:
    """The first ``size_bytes`` of ``file``, or the one range that ``request`` (or ``range_header``) asks for, as the
    download ``name``. Closes ``file`` when the answer is over, however it ends."""
    wanted = _range(request.headers.get("Range") or range_header, size_bytes)
    if wanted == (0, 0):
        file.close()
        refused = HttpResponse(status=416)
        refused["Content-Range"] = f"bytes */{size_bytes}"
        return refused
    first, end = wanted or (0, size_bytes)
    file.seek(first)
    response = StreamingHttpResponse(
        _pieces_async(file, end - first) if isinstance(request, ASGIRequest) else _pieces(file, end - first),
        status=200 if wanted is None else 206,
        content_type=content_type,
    )
    if wanted is not None:
        response["Content-Range"] = f"bytes {first}-{end - 1}/{size_bytes}"
    response["Content-Length"] = str(end - first)
    response["Accept-Ranges"] = "bytes"
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-store"
    return response


def _range(header: str, size_bytes: int) -> tuple[int, int] | None:
    """The range as (first, end); None for the whole, which is also the answer to what cannot be understood or names
    several ranges (RFC 9110, section 14.2); (0, 0) for one that lies outside."""
    match = _RANGE.fullmatch(header.strip())
    if match is None or not (match["first"] or match["last"]):
        return None
    if not match["first"]:
        first, end = max(0, size_bytes - int(match["last"])), size_bytes
    else:
        first = int(match["first"])
        end = min(int(match["last"]) + 1, size_bytes) if match["last"] else size_bytes
    return (first, end) if first < end else (0, 0)


def _pieces(file: BinaryIO, left: int) -> Iterator[bytes]:
    with file:
        while left > 0:
            piece = file.read(min(PIECE_BYTES, left))
            if not piece:
                return
            left -= len(piece)
            yield piece


async def _pieces_async(file: BinaryIO, left: int) -> AsyncIterator[bytes]:
    # Under ASGI Django would read a plain iterator to its end into memory before sending the first byte.
    try:
        while left > 0:
            piece = await asyncio.to_thread(file.read, min(PIECE_BYTES, left))
            if not piece:
                return
            left -= len(piece)
            yield piece
    finally:
        file.close()
