"""Points as three columns of float64: step, wall time (Unix seconds) and value. Packed one column after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Bytes of one point.
POINT_BYTES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Points ``start`` and following of a series. Values may be NaN or infinite; steps and times never are.

    ``count`` is the index after the last point that was looked at: where a reader goes on. It differs from
    ``start + len(steps)`` when the points were thinned out.
    """

    start: int
    count: int
    steps: np.ndarray
    times: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.steps)


def pack(steps: Sequence[float], times: Sequence[float], values: Sequence[float]) -> bytes:
    """The three columns as bytes, little-endian."""
    return np.array([steps, times, values], dtype="<f8").tobytes()


def pack_table(table: np.ndarray) -> bytes:
    """An array of shape (3, n) as bytes."""
    return np.ascontiguousarray(table, dtype="<f8").tobytes()


def unpack(data: bytes | memoryview, *, offset_bytes: int = 0, count: int) -> np.ndarray:
    """The array of shape (3, count) that lies at ``offset_bytes`` of ``data``. Raises ValueError when it is short."""
    return np.frombuffer(data, dtype="<f8", offset=offset_bytes, count=3 * count).reshape(3, count)


def empty() -> np.ndarray:
    """No points."""
    return np.empty((3, 0))
