"""The series of a run and their points, as pages and charts need them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from django.db.models import QuerySet

from runs.models import Run, Series
from runs.states import SeriesKind
from runs.stores.points import series_downsampled, series_points, series_tails

#: Points of a curve that is only a picture.
PICTURE_POINTS = 80

_EVERYTHING = 2**40


def series_list(run: Run, kind: SeriesKind) -> QuerySet[Series]:
    """The series of ``kind`` of the run's last attempt, with their tasks."""
    attempt = run.attempts.order_by("-number").values("pk")[:1]
    return (
        Series.objects.filter(run=run, kind=kind, task__attempt_id__in=attempt)
        .select_related("task")
        .order_by("name", "task_id")
    )


def pictures(series: Sequence[Series]) -> dict[int, list[float]]:
    """By series id, the values of small pictures: some evenly spaced ones. All series are read together."""
    tails = series_tails(series, {}, most=_EVERYTHING)
    found = {}
    for pk, points in tails.items():
        wanted = np.linspace(0, len(points) - 1, min(len(points), PICTURE_POINTS)).astype(int)
        found[pk] = points.values[wanted].tolist()
    return found


def curve(series: Series, *, most: int) -> dict[str, Any]:
    """``series`` as JSON for a chart: at most about ``most`` points, extremes kept; ``count`` is the index from which
    the socket goes on. Values that are not finite are null; ``not_finite`` counts those among the points sent."""
    points = series_downsampled(series, most=most)
    return {
        "id": series.pk,
        "name": series.name,
        "task": str(series.task),
        "count": points.count,
        "not_finite": int(np.count_nonzero(~np.isfinite(points.values))),
        "steps": json_numbers(points.steps),
        "times": json_numbers(points.times),
        "values": json_numbers(points.values),
    }


def all_points(series: Series) -> list[tuple[float, float, float]]:
    """Every point as (step, Unix seconds, value), in order."""
    points = series_points(series)
    return list(zip(points.steps.tolist(), points.times.tolist(), points.values.tolist(), strict=True))


def json_numbers(numbers: np.ndarray) -> list[float | None]:
    """``numbers`` for JSON, which has no NaN and no infinity: they become null."""
    listed = numbers.tolist()
    for place in np.flatnonzero(~np.isfinite(numbers)).tolist():
        listed[place] = None
    return listed
