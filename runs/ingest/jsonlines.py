"""What the JSON lines of a point stream say: points, progress, tags, records. Pure.

A line that cannot be understood is counted and passed over: a mistake in one line never holds up the next.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from runs.ingest.frame import clean
from runs.states import SeriesKind
from runs.stores.points import Point, SeriesKey

RECORD_KINDS = ("row", "table", "list", "image", "text")
_PROGRESS = ("epoch", "epochs", "batch", "batches", "eta_s")
_NAME_CHARACTERS = 250
_TAG_CHARACTERS = 100
_DEPTH = 30
_SHOWN_CHARACTERS = 120


@dataclass(slots=True)
class Told:
    """What some lines said. ``progress`` is the last of its kind; ``unread`` counts the lines nobody understands."""

    points: dict[SeriesKey, list[Point]] = field(default_factory=dict)
    progress: dict[str, float] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    records: list[tuple[str, str, Any, float]] = field(default_factory=list)
    unread: int = 0
    first_unread: str = ""

    def __bool__(self) -> bool:
        return bool(self.points or self.progress or self.tags or self.records or self.unread)


def read_lines(data: bytes, *, kind: SeriesKind, now: float) -> Told:
    """What ``data``, whole lines, says. Points belong to series of ``kind``; system samples know nothing else.

    ``now`` (Unix seconds) stands in for a time that is missing or not finite.
    """
    told = Told()
    for line in data.split(b"\n"):
        if not line or line.isspace():
            continue
        try:
            said = json.loads(line)
            _READERS[said["k"]](told, said, kind, now)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            told.unread += 1
            if not told.first_unread:
                told.first_unread = clean(line[: 4 * _SHOWN_CHARACTERS].decode("utf-8", "replace"))[:_SHOWN_CHARACTERS]
    return told


def _point(told: Told, said: dict[str, Any], kind: SeriesKind, now: float) -> None:
    _add(told, kind, said["n"], said.get("s"), said.get("t"), said["v"], now)


def _points(told: Told, said: dict[str, Any], kind: SeriesKind, now: float) -> None:
    for name, step, at, value in said["p"]:
        _add(told, kind, name, step, at, value, now)


def _add(told: Told, kind: SeriesKind, name: Any, step: Any, at: Any, value: Any, now: float) -> None:
    step = None if step is None else _number(step)
    if step is not None and not math.isfinite(step):
        step = None
    at = now if at is None else _number(at)
    point = (step, at if math.isfinite(at) else now, _number(value))
    told.points.setdefault((str(kind), _name(name)), []).append(point)


def _progress(told: Told, said: dict[str, Any], kind: SeriesKind, now: float) -> None:
    _only_metrics(kind)
    numbers = {key: said[key] for key in _PROGRESS if said.get(key) is not None}
    if not all(math.isfinite(_number(value)) and abs(value) < 2**53 for value in numbers.values()):
        raise ValueError("progress that is no number")
    told.progress = numbers


def _tags(told: Told, said: dict[str, Any], kind: SeriesKind, now: float) -> None:
    _only_metrics(kind)
    for name, value in said["d"].items():
        text = "" if value is None else clean(str(value)).strip()[:_TAG_CHARACTERS]
        told.tags[_name(name)[:_TAG_CHARACTERS]] = text


def _record(told: Told, said: dict[str, Any], kind: SeriesKind, now: float) -> None:
    _only_metrics(kind)
    at = now if said.get("t") is None else _number(said["t"])
    told.records.append((said["k"], _name(said["n"]), _storable(said["d"]), at if math.isfinite(at) else now))


_READERS: dict[str, Callable[[Told, dict[str, Any], SeriesKind, float], None]] = {
    "point": _point,
    "points": _points,
    "progress": _progress,
    "tags": _tags,
    **dict.fromkeys(RECORD_KINDS, _record),
}


def _only_metrics(kind: SeriesKind) -> None:
    if kind != SeriesKind.METRIC:
        raise ValueError("system samples are points only")


def _number(value: Any) -> float:
    if not isinstance(value, (int, float)):
        raise TypeError("not a number")
    return float(value)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("no name")
    return clean(value.strip())[:_NAME_CHARACTERS]


def _storable(value: Any, depth: int = 0) -> Any:
    """``value`` as both databases take it: JSON proper knows no NaN and no infinity, PostgreSQL no NUL."""
    if depth > _DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        return value if value.isprintable() else "\n".join(clean(line) for line in value.split("\n"))
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [_storable(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {clean(key): _storable(item, depth + 1) for key, item in value.items()}
    return value
