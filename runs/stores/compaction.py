"""Sorts the batches of requests into chunks of one series each, and merges small chunks as they pile up.

A new chunk is merged with the one before it while that one is not twice as large: a series of n points has about
``n / 4096`` full chunks and a few small ones, and each point is rewritten a handful of times at most.
"""

from __future__ import annotations

import numpy as np
from django.db import transaction

from runs.models import PointBatch, SeriesChunk, Task
from runs.stores import columns
from runs.stores.columns import POINT_BYTES

#: A chunk of at least so many points is left alone.
FULL_POINTS = 4096
#: What one transaction takes at most: the database's write lock is held for it.
_BATCHES_A_TRANSACTION = 200
_BYTES_A_TRANSACTION = 4 * 1024 * 1024


def points_compact(*, most_batches: int = 5000) -> int:
    """Moves up to about ``most_batches`` batches into chunks, the oldest first, and returns how many those were.

    Each transaction is short and moves points of one task whole, so that a kill at any moment loses nothing and
    several processes may do this at once.
    """
    done = 0
    while done < most_batches:
        task_id = PointBatch.objects.order_by("id").values_list("task_id", flat=True).first()
        if task_id is None:
            break
        moved = _compact_task(task_id, most=min(_BATCHES_A_TRANSACTION, most_batches - done))
        if not moved:
            break
        done += moved
    return done


def _compact_task(task_id: int, *, most: int) -> int:
    with transaction.atomic():
        # Two supervisors take turns; an ingest, which only refers to the row, is not kept waiting.
        if not Task.objects.select_for_update(no_key=True).filter(pk=task_id).exists():
            return 0
        taken: list[int] = []
        by_series: dict[int, list[tuple[int, np.ndarray]]] = {}
        size_bytes = 0
        rows = PointBatch.objects.filter(task_id=task_id).order_by("id").values_list("id", "layout", "data")[:most]
        for pk, layout, data in rows.iterator(chunk_size=20):
            offset = 0
            for series_id, first, count in layout:
                piece = columns.unpack(data, offset_bytes=offset, count=count)
                by_series.setdefault(series_id, []).append((first, piece))
                offset += count * POINT_BYTES
            taken.append(pk)
            size_bytes += len(data)
            if size_bytes > _BYTES_A_TRANSACTION:
                break
        for series_id, pieces in by_series.items():
            pieces.sort(key=lambda piece: piece[0])
            _append_chunk(series_id, pieces[0][0], np.concatenate([piece for _, piece in pieces], axis=1))
        PointBatch.objects.filter(pk__in=taken).delete()
    return len(taken)


def _append_chunk(series_id: int, first: int, table: np.ndarray) -> None:
    """Adds points to the end of a series, together with the small chunks before them."""
    merged: list[int] = []
    before = SeriesChunk.objects.filter(series_id=series_id, count__lt=FULL_POINTS, first_index__lt=first)
    for pk, count, chunk_first, data in before.order_by("-first_index").values_list(
        "id", "count", "first_index", "data"
    ):
        if chunk_first + count != first or count >= 2 * table.shape[1]:
            break
        table = np.concatenate([columns.unpack(data, count=count), table], axis=1)
        first = chunk_first
        merged.append(pk)
        if table.shape[1] >= FULL_POINTS:
            break
    if merged:
        SeriesChunk.objects.filter(pk__in=merged).delete()
    SeriesChunk.objects.bulk_create(
        [
            SeriesChunk(
                series_id=series_id,
                first_index=first + start,
                count=table[:, start : start + FULL_POINTS].shape[1],
                data=columns.pack_table(table[:, start : start + FULL_POINTS]),
            )
            for start in range(0, table.shape[1], FULL_POINTS)
        ]
    )
