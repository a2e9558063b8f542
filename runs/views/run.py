"""The run page: one view a tab, each whole without JavaScript; the scripts only say what changed since."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from runs import charts
from runs.models import Run
from runs.selectors.artifacts import artifact_list
from runs.selectors.cluster import tf_config_of
from runs.selectors.code import command_line, parameters, shadows, snapshot_files
from runs.selectors.definitions import named_environment_of
from runs.selectors.environment import advice_of, build_progress, packages_of, update_of
from runs.selectors.failure import failure_of
from runs.selectors.logs import log_streams, plain
from runs.selectors.run import run_for, run_summary
from runs.selectors.series import pictures, series_list
from runs.selectors.tasks import on_simulated_gpus, tasks_of
from runs.states import RunState, SeriesKind
from runs.stores.logs import log_tail

KEY_METRICS = 6
LINES_WITHOUT_SCRIPT = 500
LINES_ON_OVERVIEW = 14

#: Up to so many charts get a picture from the server; beyond it a page without JavaScript shows numbers alone.
MOST_PICTURES = 24

TABS = (
    ("run", "Overview"),
    ("run-metrics", "Metrics"),
    ("run-system", "System"),
    ("run-logs", "Logs"),
    ("run-files", "Files"),
    ("run-events", "Events"),
)


@login_required
@require_GET
def overview(request: HttpRequest, pk: int) -> HttpResponse:
    """What happens now, or why it ended; then what the run is made of."""
    run = run_for(request.user, pk)
    spec = run.effective_spec.masked()
    series = list(series_list(run, SeriesKind.METRIC))
    key_series = charts.key_series(series, most=KEY_METRICS)
    values = pictures(key_series)
    tasks = tasks_of(run)
    return _page(
        request,
        run,
        "run",
        {
            "failure": failure_of(run),
            "build": build_progress(run),
            "tiles": [charts.tile(one, values.get(one.pk, [])) for one in key_series],
            "cursors": " ".join(f"{one.pk}:{one.count}" for one in series),
            "tail": _tail(run),
            "command": command_line(spec),
            "parameters": parameters(spec),
            "spec": spec,
            "packages": packages_of(run),
            "update": update_of(run),
            "named_environment": named_environment_of(run, request.user),
            "advice": advice_of(run),
            "shadows": shadows(run),
            "tasks": tasks,
            "first_failed": next((row for row in tasks if row.is_first), None) if len(tasks) > 1 else None,
            "ended_with": sum(row.state == RunState.CANCELLED for row in tasks),
            "tf_config": tf_config_of(run),
            "meets": any(row.task.meets for row in tasks),
            "node_names": list(dict.fromkeys(row.task.node_name for row in tasks)),
            "snapshot_files": snapshot_files(run),
        },
    )


@login_required
@require_GET
def metrics(request: HttpRequest, pk: int) -> HttpResponse:
    """Every metric as a chart."""
    return _charts(request, pk, SeriesKind.METRIC)


@login_required
@require_GET
def system(request: HttpRequest, pk: int) -> HttpResponse:
    """The machine's load under the run, as charts."""
    return _charts(request, pk, SeriesKind.SYSTEM)


@login_required
@require_GET
def logs(request: HttpRequest, pk: int) -> HttpResponse:
    """The lines of one log; ``stream`` chooses which, otherwise the script's output."""
    run = run_for(request.user, pk)
    streams = log_streams(run)
    asked = request.GET.get("stream", "")
    shown = next((stream for stream in streams if asked in (str(stream.id), stream.name)), None)
    shown = shown or (streams[0] if streams else None)
    page = log_tail(shown.id, count=LINES_WITHOUT_SCRIPT) if shown else None
    numbered = list(enumerate([plain(line) for line in page.lines], start=page.first_line + 1)) if page else []
    return _page(
        request,
        run,
        "run-logs",
        {
            "streams": streams,
            "shown": shown,
            "page": page,
            "numbered": numbered,
            "rest": plain(page.tail) if page else "",
        },
    )


@login_required
@require_GET
def files(request: HttpRequest, pk: int) -> HttpResponse:
    """What the run put out."""
    run = run_for(request.user, pk)
    artifacts = list(artifact_list(run))
    return _page(
        request,
        run,
        "run-files",
        {"artifacts": artifacts, "total_bytes": sum(artifact.size_bytes for artifact in artifacts)},
    )


@login_required
@require_GET
def events(request: HttpRequest, pk: int) -> HttpResponse:
    """Everything that happened to the run, oldest first."""
    run = run_for(request.user, pk)
    return _page(request, run, "run-events", {"events": run.events.select_related("actor")})


def _page(request: HttpRequest, run: Run, tab: str, context: dict[str, Any]) -> HttpResponse:
    frame = {"run": run, "summary": run_summary(run), "tab": tab, "tabs": TABS, "file_count": run.artifacts.count()}
    frame["grace_s"] = settings.ENV.stop_grace_s
    frame["trains_on_cpu"] = on_simulated_gpus(run).exists()
    return render(request, f"runs/run/{tab.removeprefix('run-').replace('run', 'overview')}.html", {**frame, **context})


def _charts(request: HttpRequest, pk: int, kind: SeriesKind) -> HttpResponse:
    run = run_for(request.user, pk)
    series = list(series_list(run, kind))
    members = {one.task.member: str(one.task) for one in sorted(series, key=lambda one: one.task_id)}
    member_shown = request.GET.get("task", "")
    if member_shown in members:
        series = [one for one in series if one.task.member == member_shown]
    make = charts.system_sections if kind == SeriesKind.SYSTEM else charts.metric_sections
    wanted = request.GET.get("filter", "").strip()
    sections = make(series, wanted=wanted)
    usual_axis = "step" if kind == SeriesKind.METRIC else "relative"
    context = {
        "kind": kind,
        "sections": sections,
        "wanted": wanted,
        "pictures": charts.paths(sections, pictures(series[:MOST_PICTURES])),
        "smooth": request.GET.get("smooth", ""),
        "usual_axis": usual_axis,
        "members": members,
        "member_shown": member_shown,
        "axis": request.GET.get("x", usual_axis),
        "is_log": request.GET.get("log") == "1",
    }
    return _page(request, run, f"run-{'system' if kind == SeriesKind.SYSTEM else 'metrics'}", context)


def _tail(run: Run) -> dict[str, Any] | None:
    """The log that tells what happens now, and its last lines: the build's until the script speaks."""
    wanted = "build" if run.state in (RunState.SUBMITTED, RunState.PREPARING) else "output"
    stream = next((stream for stream in log_streams(run) if stream.name == wanted), None)
    if stream is None:
        return None
    page = log_tail(stream.id, count=LINES_ON_OVERVIEW)
    lines = [plain(line) for line in [*page.lines, *([page.tail] if page.tail else [])]]
    return {"id": stream.id, "label": stream.label, "text": "\n".join(lines)}
