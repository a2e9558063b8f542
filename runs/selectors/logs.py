"""The logs of a run: which there are, and their lines."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.db.models import Case, QuerySet, When
from django.http import Http404

from runs.distribution import roles_of
from runs.models import Run, Stream
from runs.states import StreamKind
from runs.stores.logs import log_size

#: Colours and other escapes that the line discipline leaves in a line.
_ESCAPES = re.compile(r"\x1b\[[0-9;:]*m")

_LABELS = {"output": "Output", "harness": "Platform notes", "build": "Environment build"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStream:
    """One log as the viewer's selector names it, under the heading ``group`` where that is not empty."""

    id: int
    name: str
    label: str
    size_bytes: int
    is_closed: bool
    group: str


def log_streams(run: Run) -> list[LogStream]:
    """The run's logs: the script's output first, then the harness's words, task by task, those of a launcher after
    those of its ranks; at last the environment's build."""
    launchers = {role.name for role in roles_of(run.spec) if role.launches}
    streams = [
        *Stream.objects.filter(task__attempt__run=run, kind=StreamKind.LOG)
        .select_related("task__attempt")
        .order_by(
            "-task__attempt__number", Case(When(task__role__in=launchers, then=1), default=0), "task_id", "-name"
        ),
        *_build_streams(run),
    ]
    tasks = {stream.task_id for stream in streams if stream.task_id}
    return [
        LogStream(
            id=stream.pk,
            name=stream.name,
            label=_label(stream, several=len(tasks) > 1),
            group=_group(stream) if len(tasks) > 1 else "",
            size_bytes=log_size(stream.pk),
            is_closed=stream.is_closed,
        )
        for stream in streams
    ]


def log_stream_for(run: Run, stream_id: int) -> Stream:
    """The log ``stream_id`` when it belongs to ``run`` or to its environment. Raises Http404 otherwise."""
    stream = (
        Stream.objects.filter(pk=stream_id, kind=StreamKind.LOG).select_related("task__attempt", "environment").first()
    )
    if stream is not None:
        if stream.task is not None and stream.task.attempt.run_id == run.pk:
            return stream
        if stream.environment_id is not None and stream.environment_id == run.environment_id:
            return stream
    raise Http404(f"Run {run.pk} has no log {stream_id}.")


def plain(line: str) -> str:
    """``line`` without its colours."""
    return _ESCAPES.sub("", line)


def _build_streams(run: Run) -> QuerySet[Stream]:
    return Stream.objects.filter(environment__runs=run, kind=StreamKind.LOG).order_by("pk")


def _group(stream: Stream) -> str:
    """Under which heading a log stands where there are those of several tasks."""
    if stream.task is None:
        return "Environment"
    number = stream.task.attempt.number
    again = f", attempt {number}" if number > 1 else ""
    return f"{stream.task} on {stream.task.node_name}{again}" if stream.task.node_name else f"{stream.task}{again}"


def _label(stream: Stream, *, several: bool) -> str:
    label = _LABELS.get(stream.name, stream.name)
    return f"{label}, {stream.task}" if several and stream.task else label
