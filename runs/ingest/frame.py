"""A frame of the wire: one line of JSON, a newline, and the bytes of its segments. Parsed and checked here. Pure."""

from __future__ import annotations

import json
import math
import posixpath
import re
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from compute.plan import ExitRecord, OutputFile
from runs.ingest.errors import FrameRefused

VERSION = 1
#: The body of one request, its line of JSON included.
FRAME_BYTES = 1024 * 1024 + 256 * 1024

LOG_STREAMS = ("output", "harness")
POINT_STREAMS = ("points", "samples")
STREAMS = (*LOG_STREAMS, *POINT_STREAMS)

OUTPUT_FILES = 5000
_NOTICE_CHARACTERS = 500
_ADDRESS = re.compile(r"[0-9A-Za-z.:%_-]{1,200}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Bytes ``offset`` and following of one stream; ``eof`` says that the stream ends with them."""

    stream: str
    offset: int
    data: bytes = field(repr=False)
    eof: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Meet:
    """Where the other tasks of the attempt can reach this one; ``port`` is None for one that does not listen."""

    address: str
    port: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One request of a task. ``outputs`` is None when the list of files has not changed, ``meet`` unless the task
    waits for the others of its attempt."""

    segments: tuple[Segment, ...] = ()
    meet: Meet | None = None
    notices: dict[str, str] = field(default_factory=dict)
    outputs: tuple[OutputFile, ...] | None = None
    exit: ExitRecord | None = None


def parse(body: bytes) -> Frame:
    """The frame in ``body``. Raises FrameRefused, saying what is wrong with it."""
    line, newline, rest = body.partition(b"\n")
    if not newline:
        raise FrameRefused("The frame has no newline after its line of JSON.")
    try:
        head = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise FrameRefused(f"The frame's first line is not JSON: {error}.") from error
    if not isinstance(head, dict):
        raise FrameRefused("The frame's first line is not a JSON object.")
    if head.get("v") != VERSION:
        raise FrameRefused(f"The frame has version {head.get('v')!r}; this server reads version {VERSION}.")
    return Frame(
        segments=_segments(head.get("segments"), rest),
        meet=_meet(head.get("meet")),
        notices=_notices(head.get("notice")),
        outputs=_outputs(head.get("outputs")),
        exit=_exit(head.get("exit")),
    )


def clean(text: str) -> str:
    """``text`` with U+FFFD for what no database and no page can hold: control characters and lone surrogates."""
    return _UNPRINTABLE.sub("\ufffd", text)


def _segments(given: Any, rest: bytes) -> tuple[Segment, ...]:
    if given is None:
        given = []
    if not isinstance(given, list):
        raise FrameRefused("'segments' is not a list.")
    found: list[Segment] = []
    place = 0
    for item in given:
        if not isinstance(item, dict):
            raise FrameRefused("A segment is not a JSON object.")
        name, offset, size = item.get("stream"), item.get("offset"), item.get("size")
        if name not in STREAMS:
            raise FrameRefused(f"There is no stream {str(name)[:40]!r}; there are {', '.join(STREAMS)}.")
        if any(segment.stream == name for segment in found):
            raise FrameRefused(f"The stream {name!r} has two segments; a frame has one for each stream.")
        if not _is_count(offset) or not _is_count(size):
            raise FrameRefused(f"The segment of {name!r} has offset {offset!r} and size {size!r}; both are whole.")
        if place + size > len(rest):
            raise FrameRefused(f"The segment of {name!r} has {size} bytes, but {len(rest) - place} are left.")
        data = rest[place : place + size]
        found.append(Segment(stream=name, offset=offset, data=data, eof=item.get("eof") is True))
        place += size
    if place != len(rest):
        raise FrameRefused(f"{len(rest) - place} bytes behind the last segment belong to none.")
    return tuple(found)


def _meet(given: Any) -> Meet | None:
    if given is None:
        return None
    if not isinstance(given, dict):
        raise FrameRefused("'meet' is not a JSON object.")
    address, port = given.get("address"), given.get("port")
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        raise FrameRefused(f"The address to meet at is {str(address)[:80]!r}; it is an IP address or a host's name.")
    if port is not None and not (type(port) is int and 0 < port < 65536):
        raise FrameRefused(f"The port to meet at is {str(port)[:80]!r}; it is a number from 1 to 65535.")
    return Meet(address=address, port=port)


def _notices(given: Any) -> dict[str, str]:
    if not isinstance(given, dict):
        return {}
    return {
        name: clean(text)[:_NOTICE_CHARACTERS]
        for name, text in given.items()
        if name in STREAMS and isinstance(text, str) and text
    }


def _outputs(given: Any) -> tuple[OutputFile, ...] | None:
    """The files named, without those whose name is not safely below the task's folder."""
    if given is None:
        return None
    if not isinstance(given, list):
        raise FrameRefused("'outputs' is not a list.")
    found: dict[str, OutputFile] = {}
    for item in given[:OUTPUT_FILES]:
        if not (isinstance(item, list) and len(item) == 3):
            raise FrameRefused("An output is not a list of path, size and time.")
        path, size, modified_at = item
        if _is_path(path) and _is_count(size) and _is_time(modified_at):
            found[path] = OutputFile(path=path, size_bytes=size, modified_at=float(modified_at))
    return tuple(found.values())


def _exit(given: Any) -> ExitRecord | None:
    if given is None:
        return None
    if not isinstance(given, dict):
        raise FrameRefused("'exit' is not a JSON object.")
    code, signal, ended_at = given.get("code"), given.get("signal"), given.get("ended_at")
    if (code is None) == (signal is None) or not all(_is_small(one) for one in (code, signal) if one is not None):
        raise FrameRefused(f"The exit has code {code!r} and signal {signal!r}; exactly one of them is a number.")
    if not _is_time(ended_at):
        raise FrameRefused(f"The exit's 'ended_at' is {ended_at!r}; it is in Unix seconds.")
    rss, started_at = given.get("max_rss_bytes"), given.get("started_at")
    return ExitRecord(
        code=code,
        signal=signal,
        ended_at=float(ended_at),
        out_of_memory=given.get("out_of_memory") is True,
        port_taken=given.get("port_taken") is True,
        max_rss_bytes=rss if _is_count(rss) else None,
        started_at=float(started_at) if _is_time(started_at) else None,
    )


def _is_count(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < 2**62


def _is_small(value: Any) -> bool:
    return type(value) is int and abs(value) < 2**31


def _is_time(value: Any) -> TypeGuard[float]:
    return type(value) in (int, float) and math.isfinite(value) and 0 < value < 253_402_300_800


def _is_path(path: Any) -> bool:
    return (
        isinstance(path, str)
        and 0 < len(path) <= 1024
        and not path.startswith("/")
        and posixpath.normpath(path) == path
        and path.split("/")[0] != ".."
        and path != "."
        and not _UNPRINTABLE.search(path)
    )
