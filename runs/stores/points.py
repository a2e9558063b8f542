"""Points: one row a request on their way in, sorted into chunks of one series later. No table has a row a point.

Point i of a series has index i for ever, in whichever row it lies. A read takes the batches first and the chunks
after them, and puts every point at its index: while the points move from one to the other a read may meet one twice,
but misses none and returns each once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from django.db import connection
from tsdownsample import MinMaxLTTBDownsampler

from runs.models import PointBatch, Series, SeriesChunk
from runs.stores import columns
from runs.stores.columns import POINT_BYTES, Points
from runs.stores.compaction import points_compact

__all__ = ["Point", "Points", "points_append", "points_compact", "series_downsampled", "series_points", "series_tails"]

#: Step (None: the point's index), wall time in Unix seconds, value.
Point = tuple[float | None, float, float]
#: A series of a task: its kind and its name.
SeriesKey = tuple[str, str]

SERIES_A_TASK = 2000
_NOT_FINITE_SHOWN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What became of a request's points: how many were stored, and the series that were one too many."""

    stored: int
    refused: tuple[SeriesKey, ...]


def points_append(*, run_id: int, task_id: int, points: Mapping[SeriesKey, Sequence[Point]]) -> Appended:
    """Stores the points as one batch and brings the summaries of their series up to date.

    Called inside the transaction that moves the cursor of the stream they came from: that cursor is what makes them
    come once, and its row's lock is what keeps two requests from numbering the same series.
    """
    wanted = {key: rows for key, rows in points.items() if rows}
    if not wanted:
        return Appended(stored=0, refused=())
    known = _series(run_id, task_id, wanted)
    layout, blobs, summaries = [], [], []
    for key, rows in wanted.items():
        series = known.get(key)
        if series is None:
            continue
        first = series.count
        steps = [first + place if row[0] is None else row[0] for place, row in enumerate(rows)]
        times = [row[1] for row in rows]
        values = [row[2] for row in rows]
        layout.append([series.pk, first, len(rows)])
        blobs.append(columns.pack(steps, times, values))
        summaries.append(_summary(series, steps[-1], times[-1], values))
    if layout:
        PointBatch.objects.bulk_create([PointBatch(task_id=task_id, layout=layout, data=b"".join(blobs))])
        _update(summaries)
    return Appended(stored=sum(row[2] for row in layout), refused=tuple(key for key in wanted if key not in known))


def series_points(series: Series, *, start: int = 0, end: int | None = None) -> Points:
    """The points ``start`` to ``end`` (exclusive; None: all there are) of a series."""
    return _read([series], {series.pk: start}, end=end)[series.pk]


def series_tails(series: Iterable[Series], starts: Mapping[int, int], *, most: int) -> dict[int, Points]:
    """By series id, up to ``most`` points each from ``starts`` (0 when absent), for series that have any there."""
    grown = [one for one in series if one.count > starts.get(one.pk, 0)]
    return {pk: found for pk, found in _read(grown, starts, most=most).items() if len(found)}


def series_downsampled(series: Series, *, most: int) -> Points:
    """At most about ``most`` points that look like all of them: MinMaxLTTB keeps peaks, NaN and infinity stay too.

    ``count`` is the index from which to ask for what comes later.
    """
    everything = series_points(series)
    if len(everything) <= most:
        return everything
    finite = np.flatnonzero(np.isfinite(everything.values))
    kept = finite
    if len(finite) > most:
        kept = finite[MinMaxLTTBDownsampler().downsample(everything.values[finite], n_out=max(4, most))]
    strange = np.flatnonzero(~np.isfinite(everything.values))
    if len(strange) > _NOT_FINITE_SHOWN:
        strange = strange[np.linspace(0, len(strange) - 1, _NOT_FINITE_SHOWN).astype(int)]
    picked = np.union1d(kept, strange)
    return Points(
        start=0,
        count=everything.count,
        steps=everything.steps[picked],
        times=everything.times[picked],
        values=everything.values[picked],
    )


def _series(run_id: int, task_id: int, keys: Iterable[SeriesKey]) -> dict[SeriesKey, Series]:
    """The series of these keys, made where they are new and there is room for them."""
    keys = list(keys)
    names = {name for _, name in keys}
    found = {
        (one.kind, one.name): one
        for one in Series.objects.filter(task_id=task_id, name__in=names)
        .only("id", "kind", "name", "count", "min_value", "max_value")
        .order_by()
    }
    new = [key for key in keys if key not in found]
    if new:
        room = max(0, SERIES_A_TASK - Series.objects.filter(task_id=task_id).count())
        made = [Series(run_id=run_id, task_id=task_id, kind=kind, name=name) for kind, name in new[:room]]
        found |= {(one.kind, one.name): one for one in Series.objects.bulk_create(made)}
    return found


def _summary(series: Series, last_step: float, last_at: float, values: Sequence[float]) -> tuple[float | None, ...]:
    finite = [value for value in values if math.isfinite(value)]
    low = min([*finite, *([] if series.min_value is None else [series.min_value])], default=None)
    high = max([*finite, *([] if series.max_value is None else [series.max_value])], default=None)
    last = None if math.isnan(values[-1]) else values[-1]
    return series.count + len(values), last_step, last_at, last, low, high, series.pk


def _update(summaries: Sequence[tuple[float | None, ...]]) -> None:
    """One prepared statement for all; the ORM's bulk_update would build a CASE for each field and row."""
    table = connection.ops.quote_name(Series._meta.db_table)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {table} SET count = %s, last_step = %s, last_at = %s, last_value = %s, min_value = %s, "  # noqa: S608
            "max_value = %s WHERE id = %s",
            summaries,
        )


def _read(
    series: Sequence[Series], starts: Mapping[int, int], *, end: int | None = None, most: int | None = None
) -> dict[int, Points]:
    """By series id, the points from ``starts``, up to ``end`` or ``most`` of them."""
    pieces: dict[int, list[tuple[int, np.ndarray]]] = {one.pk: [] for one in series}
    for layout, data in PointBatch.objects.filter(task_id__in={one.task_id for one in series}).values_list(
        "layout", "data"
    ):
        offset = 0
        for pk, first, count in layout:
            if pk in pieces and first + count > starts.get(pk, 0):
                pieces[pk].append((first, columns.unpack(data, offset_bytes=offset, count=count)))
            offset += count * POINT_BYTES
    found = {}
    for pk, own in pieces.items():
        start = starts.get(pk, 0)
        stop = min(bound for bound in (end, start + most if most is not None else None, 2**62) if bound is not None)
        if not own or min(first for first, _ in own) > start:
            own += _chunks(pk, start, stop)
        table = _assembled(own, start, stop)
        steps, times, values = table
        found[pk] = Points(start=start, count=start + table.shape[1], steps=steps, times=times, values=values)
    return found


def _chunks(series_id: int, start: int, stop: int) -> list[tuple[int, np.ndarray]]:
    rows = SeriesChunk.objects.filter(series_id=series_id, first_index__lt=stop).order_by("first_index")
    before = rows.filter(first_index__lte=start).order_by("-first_index").values_list("first_index", flat=True).first()
    if before is not None:
        rows = rows.filter(first_index__gte=before)
    return [
        (first, columns.unpack(data, count=count))
        for first, count, data in rows.values_list("first_index", "count", "data")
    ]


def _assembled(pieces: list[tuple[int, np.ndarray]], start: int, stop: int) -> np.ndarray:
    """The pieces in the order of their indexes, without what they share, up to the first gap."""
    parts: list[np.ndarray] = []
    position = start
    for first, table in sorted(pieces, key=lambda piece: piece[0]):
        last = min(first + table.shape[1], stop)
        if first > position or position >= stop:
            break
        if last > position:
            parts.append(table[:, position - first : last - first])
            position = last
    return np.concatenate(parts, axis=1) if parts else columns.empty()
