"""Curves as JSON, and every point of them as CSV."""

from __future__ import annotations

import csv
import io

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.text import slugify
from django.views.decorators.http import require_GET

from runs.api.numbers import whole
from runs.models import Run, Series
from runs.selectors.run import run_for
from runs.selectors.series import all_points, curve, series_list
from runs.states import SeriesKind

MOST_SERIES = 50
MOST_POINTS = 5000


@login_required
@require_GET
def series(request: HttpRequest, pk: int) -> JsonResponse:
    """Curves of one ``kind``, those of the given ``name`` or ``id`` parameters or the first fifty, with at most
    ``most`` points each."""
    most = whole(request.GET, "most", default=1500, least=10, most=MOST_POINTS)
    wanted = _wanted(request, run_for(request.user, pk))[:MOST_SERIES]
    return JsonResponse({"series": [curve(one, most=most) for one in wanted]})


@login_required
@require_GET
def series_csv(request: HttpRequest, pk: int) -> HttpResponse:
    """Every point of the wanted series, one row a point."""
    run = run_for(request.user, pk)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["series", "task", "index", "step", "unix_time", "value"])
    for one in _wanted(request, run)[:MOST_SERIES]:
        for index, (step, at, value) in enumerate(all_points(one)):
            writer.writerow([_harmless(one.name), one.task, index, step, at, value])
    response = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    name = f"{slugify(run.experiment.name) or 'run'}-{run.number}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _wanted(request: HttpRequest, run: Run) -> list[Series]:
    kind = SeriesKind.SYSTEM if request.GET.get("kind") == SeriesKind.SYSTEM else SeriesKind.METRIC
    listed = series_list(run, kind)
    names = request.GET.getlist("name")
    ids = {part for value in request.GET.getlist("id") for part in value.split(",")}
    return [one for one in listed if (not names and not ids) or one.name in names or (ids and str(one.pk) in ids)]


def _harmless(name: str) -> str:
    """``name`` so that a spreadsheet does not take it for a formula."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name
