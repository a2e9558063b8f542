"""Seeing what there is of a task, from its folder alone: which locks are held, what was written down."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from compute.backends.local import handling
from compute.plan import ExitRecord, Liveness, TaskStatus


def task_observe(folder: Path) -> TaskStatus:
    """What is there now. EXITED: the script and all it left have ended; its harness may still be sending."""
    try:
        with handling.opened(folder) as inside:
            # The locks first: the guard writes down the exit before it lets go.
            is_watched = handling.lock_is_held(inside, "lock")
            is_guarded = handling.lock_is_held(inside, "guard.lock")
            record = exit_record(handling.json_object(inside, "exit.json"))
            was_started = handling.exists(inside, "started")
    except FileNotFoundError:
        return TaskStatus(liveness=Liveness.ABSENT)
    if record is not None and not is_guarded:
        return TaskStatus(liveness=Liveness.EXITED, exit=record)
    if is_watched:
        return TaskStatus(liveness=Liveness.ALIVE, exit=record)
    if is_guarded:
        return TaskStatus(liveness=Liveness.UNWATCHED, exit=record)
    return TaskStatus(liveness=Liveness.DIED if was_started else Liveness.ABSENT)


def is_watched(folder: Path) -> bool:
    """True while a harness holds the task's lock."""
    try:
        with handling.opened(folder) as inside:
            return handling.lock_is_held(inside, "lock")
    except FileNotFoundError:
        return False


def exit_record(document: dict[str, Any] | None) -> ExitRecord | None:
    """The record in ``document``; None when it is none. The file is the task's to forge, so every value is checked."""
    if document is None:
        return None
    code, number = _whole(document.get("code")), _whole(document.get("signal"))
    ended_at = _number(document.get("ended_at"))
    if (code is None) == (number is None) or ended_at is None:
        return None
    return ExitRecord(
        code=code,
        signal=number,
        ended_at=ended_at,
        out_of_memory=document.get("out_of_memory") is True,
        port_taken=document.get("port_taken") is True,
        max_rss_bytes=_whole(document.get("max_rss_bytes"), most=2**53),
        started_at=_number(document.get("started_at")),
    )


def _whole(value: object, *, most: int = 2**31) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < most else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value) if 0 <= value < 2**33 else None
