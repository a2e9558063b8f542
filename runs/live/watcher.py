"""Reads from the stores what a client does not have yet, and makes frames of it. Synchronous; knows no socket.

The cursors are the client's own: each frame begins where the one before it ended, so nothing is lost and nothing
comes twice, whatever happens to the doorbell.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, field
from typing import Any

from runs.live.state import Look, look
from runs.live.wish import Wish
from runs.models import Series
from runs.stores.logs import LinePage, log_lines_from, log_size
from runs.stores.points import Points, series_tails

#: Without a ring a client is looked after this often.
IDLE_S = 5.0
LOOK_EVERY_S = 0.5
TAIL_EVERY_S = 0.2
#: No frame is larger than 256 KB: this, and at most one line, one series or the frame's own words on top.
_FRAME_BYTES = 180 * 1024
_POINTS_A_FRAME = 2500
_FRAMES_A_LOG = 4


@dataclass(slots=True)
class Round:
    """What is to be sent, and how long the next look can wait when no ring comes. ``is_gone``: there is no run."""

    wait_s: float
    frames: list[str] = field(default_factory=list)
    is_gone: bool = False


@dataclass(slots=True)
class _LogCursor:
    """How far the client has one log: complete lines up to ``offset``, and what it was told of the rest."""

    offset: int
    seen: tuple[int, bool] | None = None
    tail: str = ""
    tail_at: float = -1.0
    ended: bool = False


class Watcher:
    """One client's view of one run. Called by one thread at a time; ``wish`` before the first ``read``."""

    def __init__(self, run_id: int) -> None:
        self._run_id = run_id
        self._look: Look | None = None
        self._looked_at = -LOOK_EVERY_S
        self._state = self._files = ""
        self._logs: dict[int, _LogCursor] = {}
        self._series: dict[int, int] | None = None
        self._kind = "metric"

    @property
    def environment_id(self) -> int | None:
        """The environment whose build belongs to the run, as of the last look."""
        return self._look.environment_id if self._look else None

    def wish(self, wish: Wish) -> None:
        """The client says anew what it shows and how far it has it."""
        self._state = wish.state
        self._files = wish.files or self._files
        self._logs = {stream: _LogCursor(offset) for stream, offset in wish.logs.items()}
        self._series, self._kind = (None if wish.series is None else dict(wish.series)), wish.kind
        self._looked_at = -LOOK_EVERY_S

    def read(self) -> Round:
        """The frames that bring the client up to date, or a part of them: then ``wait_s`` is 0."""
        turn = Round(wait_s=IDLE_S)
        self._read_state(turn)
        if turn.is_gone or self._look is None:
            return turn
        for stream, cursor in self._logs.items():
            if stream in self._look.closed:
                self._read_log(turn, stream, cursor, self._look.closed[stream])
        if self._series is not None:
            self._read_points(turn, self._series)
        return turn

    def _read_state(self, turn: Round) -> None:
        passed = time.monotonic() - self._looked_at
        if passed < LOOK_EVERY_S:
            turn.wait_s = min(turn.wait_s, LOOK_EVERY_S - passed)
            return
        self._looked_at = time.monotonic()
        self._look = look(self._run_id)
        if self._look is None:
            turn.is_gone = True
            return
        if self._look.version != self._state:
            self._state = self._look.version
            turn.frames.append(_json({"type": "state", "version": self._state, "run": self._look.shown}))
        if self._look.files_version != self._files:
            self._files = self._look.files_version
            turn.frames.append(_json({"type": "files", "version": self._files}))

    def _read_log(self, turn: Round, stream: int, cursor: _LogCursor, is_closed: bool) -> None:
        for _ in range(_FRAMES_A_LOG):
            seen = (log_size(stream), is_closed)
            if seen == cursor.seen:
                return
            page = log_lines_from(stream, offset=cursor.offset, most_bytes=_FRAME_BYTES)
            at_end = page.first_line + len(page.lines) >= page.total_lines
            ends = is_closed and at_end and page.size_bytes == seen[0]
            tail_in_s = cursor.tail_at + TAIL_EVERY_S - time.monotonic()
            if not page.lines and not ends and tail_in_s > 0:
                turn.wait_s = min(turn.wait_s, tail_in_s)
                return
            if page.lines or page.tail != cursor.tail or (ends and not cursor.ended):
                turn.frames.append(_log_frame(stream, page, ends))
                cursor.tail_at = time.monotonic()
            cursor.offset, cursor.tail, cursor.ended = page.to_bytes, page.tail, ends
            if at_end and page.size_bytes == seen[0]:
                cursor.seen = seen
                return
        turn.wait_s = 0.0

    def _read_points(self, turn: Round, cursors: dict[int, int]) -> None:
        if self._look is None or self._look.attempt_id is None:
            return
        series = list(
            Series.objects.filter(run_id=self._run_id, kind=self._kind, task__attempt_id=self._look.attempt_id)
            .only("id", "name", "count", "task_id")
            .order_by("id")
        )
        grown = [one for one in series if one.count > cursors.get(one.pk, 0)]
        if not grown:
            return
        tails = series_tails(grown, cursors, most=max(1, _POINTS_A_FRAME // len(grown)))
        told: list[str] = []
        size_bytes = 0
        for one in grown:
            if one.pk not in tails:
                continue
            if size_bytes > _FRAME_BYTES:
                turn.wait_s = 0.0
                break
            told.append(f'"{one.pk}":{_json(_series_part(one.name, tails[one.pk]))}')
            size_bytes += len(told[-1].encode())
            cursors[one.pk] = tails[one.pk].count
            if tails[one.pk].count < one.count:
                turn.wait_s = 0.0
        if told:
            turn.frames.append('{"type":"points","series":{' + ",".join(told) + "}}")


def _log_frame(stream: int, page: LinePage, ends: bool) -> str:
    return _json(
        {
            "type": "log",
            "stream": stream,
            "from": page.from_bytes,
            "to": page.to_bytes,
            "first_line": page.first_line,
            "lines": page.lines,
            "tail": page.tail,
            "eof": ends,
        }
    )


def _series_part(name: str, points: Points) -> dict[str, Any]:
    """One series of a points frame. JSON has no NaN and no infinity: such values are null."""
    return {
        "name": name,
        "from": points.start,
        "steps": points.steps.tolist(),
        "times": points.times.tolist(),
        "values": [value if math.isfinite(value) else None for value in points.values.tolist()],
    }


def _json(frame: dict[str, Any]) -> str:
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"))
