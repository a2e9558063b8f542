"""What a client asks to be told: the ``watch`` message of the live protocol. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from runs.states import SeriesKind

_MOST_LOGS = 20
_MOST_SERIES = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a client shows, and how far it has it: versions, byte offsets by stream, next indexes by series.

    ``series`` is None when it shows no curves.
    """

    state: str = ""
    files: str = ""
    logs: dict[int, int] = field(default_factory=dict)
    series: dict[int, int] | None = None
    kind: str = "metric"


def parse(text: str) -> Wish | None:
    """The wish in a message; None when it is none."""
    try:
        message = json.loads(text)
        if message["type"] != "watch":
            return None
        series = message.get("series")
        kind = message.get("kind") or "metric"
        if kind not in SeriesKind.values:
            return None
        return Wish(
            state=str(message.get("state") or ""),
            files=str(message.get("files") or ""),
            logs=_cursors(message.get("logs") or {}, _MOST_LOGS),
            series=None if series is None else _cursors(series, _MOST_SERIES),
            kind=kind,
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _cursors(given: Any, most: int) -> dict[int, int]:
    found = {int(key): max(0, int(value)) for key, value in given.items()}
    if len(found) > most or any(not 0 <= number < 2**62 for pair in found.items() for number in pair):
        raise ValueError("cursors out of range")
    return found
