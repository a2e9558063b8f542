"""A run as its page shows it live, and the versions by which a change is noticed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2s
from typing import Any

from django.db.models import Count, Max, Q, Sum

from runs.models import Artifact, Run, Series, Stream, Task
from runs.states import ArtifactPlace, StreamKind

HEARD_EVERY_S = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at a run. ``closed`` says of each of its logs whether nothing more comes; ``shown`` is for the page."""

    shown: dict[str, Any]
    version: str
    files_version: str
    environment_id: int | None
    attempt_id: int | None
    closed: dict[int, bool]


def look(run_id: int) -> Look | None:
    """The run as it is now; None when there is none."""
    run = Run.objects.select_related("environment").filter(pk=run_id).first()
    if run is None:
        return None
    tasks = list(Task.objects.filter(attempt__run_id=run_id).order_by("attempt__number", "id"))
    attempt_id = tasks[-1].attempt_id if tasks else None
    logs = list(
        Stream.objects.filter(
            Q(task__attempt__run_id=run_id) | Q(environment_id=run.environment_id, environment__isnull=False),
            kind=StreamKind.LOG,
        ).order_by("id")
    )
    shown = _shown(run, [task for task in tasks if task.attempt_id == attempt_id], logs)
    return Look(
        shown=shown,
        version=_digest(shown),
        files_version=_files_version(run_id),
        environment_id=run.environment_id,
        attempt_id=attempt_id,
        closed={stream.pk: stream.is_closed for stream in logs},
    )


def _shown(run: Run, tasks: list[Task], logs: list[Stream]) -> dict[str, Any]:
    environment = run.environment
    counts = Series.objects.filter(run_id=run.pk).order_by().values_list("kind").annotate(Count("id"))
    return {
        "id": run.pk,
        "state": run.state,
        "label": run.get_state_display(),
        "is_final": run.is_final,
        "reason": run.end_reason,
        "reason_label": run.get_end_reason_display() if run.end_reason else "",
        "message": run.end_message,
        "cancelling": run.cancel_requested_at is not None and run.is_active,
        "waiting_for": run.waiting_for,
        "progress": run.progress,
        "tags": run.tags,
        "submitted_at": _iso(run.submitted_at),
        "started_at": _iso(run.started_at),
        "ended_at": _iso(run.ended_at),
        "environment": environment
        and {"id": environment.pk, "state": environment.state, "progress": environment.progress},
        "tasks": [
            {
                "id": task.pk,
                "name": str(task),
                "state": task.state,
                "exit_code": task.exit_code,
                "exit_signal": task.exit_signal,
                "meeting": task.meeting,
                "heard": _heard(task) if len(tasks) > 1 else None,
            }
            for task in tasks
        ],
        "logs": [
            {"id": stream.pk, "name": stream.name, "task": stream.task_id, "closed": stream.is_closed}
            for stream in logs
        ],
        "series": dict(counts),
    }


def _heard(task: Task) -> int | None:
    """When the task was last heard of, as coarse as a page that shows many tasks need be brought up to date."""
    return None if task.heartbeat_at is None else int(task.heartbeat_at.timestamp() // HEARD_EVERY_S)


def _files_version(run_id: int) -> str:
    facts = Artifact.objects.filter(run_id=run_id).aggregate(
        Count("id"),
        Max("id"),
        Sum("size_bytes"),
        Max("modified_at"),
        stored=Count("id", filter=Q(place=ArtifactPlace.STORE)),
    )
    return _digest(facts) if facts["id__count"] else ""


def _digest(facts: Any) -> str:
    return blake2s(json.dumps(facts, sort_keys=True, default=str).encode(), digest_size=8).hexdigest()


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
