"""What a request needs to know of its task, kept for a second in each process so that most requests read nothing."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from runs.ingest.errors import TaskOver
from runs.ingest.frame import POINT_STREAMS, STREAMS
from runs.models import Stream, Task
from runs.states import FINAL, RunState, StreamKind

#: How long facts are believed; a wish to stop reaches the task this much later at most.
KEPT_S = 1.0
HEARTBEAT_EVERY_S = 10.0
_TASKS_KEPT = 2000


@dataclass(slots=True)
class StreamFacts:
    """One stream: its row, whether it was closed, and for point streams how many bytes were taken."""

    id: int
    is_closed: bool
    accepted_bytes: int


@dataclass(slots=True)
class TaskFacts:
    """One task as it was when it was looked up. ``streams`` has all four, by name; ``node_address`` is None when the
    node has been deleted; ``tells_progress``: how far it is, is how far the run is."""

    task_id: int
    task_name: str
    attempt_id: int
    run_id: int
    state: str
    is_stopping: bool
    is_drained: bool
    meets: bool
    node_address: str | None
    tells_progress: bool
    streams: dict[str, StreamFacts] = field(default_factory=dict)


_lock = threading.Lock()
_kept: dict[int, tuple[float, TaskFacts]] = {}
_heartbeats: dict[int, float] = {}


def facts_of(task_id: int) -> TaskFacts:
    """The facts of a task, at most a second old. Raises TaskOver when nothing more is taken from it."""
    found = _kept.get(task_id)
    if found is not None and time.monotonic() - found[0] < KEPT_S:
        return found[1]
    facts = _load(task_id)
    with _lock:
        if len(_kept) >= _TASKS_KEPT:
            _kept.clear()
            _heartbeats.clear()
        _kept[task_id] = (time.monotonic(), facts)
    return facts


def forget(task_id: int) -> None:
    """Makes the next request look the task up again."""
    with _lock:
        _kept.pop(task_id, None)


def heartbeat_due(task_id: int) -> bool:
    """Whether this process last wrote a heartbeat of the task ten seconds ago or more. Saying yes counts as writing."""
    now = time.monotonic()
    with _lock:
        if now - _heartbeats.get(task_id, -HEARTBEAT_EVERY_S) < HEARTBEAT_EVERY_S:
            return False
        _heartbeats[task_id] = now
    return True


def _load(task_id: int) -> TaskFacts:
    task = Task.objects.select_related("attempt__run", "node").filter(pk=task_id).first()
    if task is None:
        raise TaskOver(f"There is no task {task_id} any more.")
    run = task.attempt.run
    if run.state in FINAL:
        if task.is_drained:
            raise TaskOver("The run is over and everything of this task is here.")
        days = settings.ENV.token_days
        if run.ended_at is not None and timezone.now() - run.ended_at > timedelta(days=days):
            raise TaskOver(f"The run ended more than {days} days ago.")
    return TaskFacts(
        task_id=task_id,
        task_name=str(task),
        attempt_id=task.attempt_id,
        run_id=run.pk,
        state=task.state,
        is_stopping=run.state == RunState.STOPPING or run.state in FINAL,
        is_drained=task.is_drained,
        meets=task.meets,
        node_address=task.node.address if task.node else None,
        tells_progress=task.index == 0,  # of equal tasks, the first: the others would overwrite its word
        streams=_streams(task_id),
    )


def _streams(task_id: int) -> dict[str, StreamFacts]:
    found = _known_streams(task_id)
    missing = [name for name in STREAMS if name not in found]
    if not missing:
        return found
    Stream.objects.bulk_create(
        [
            Stream(task_id=task_id, name=name, kind=StreamKind.POINTS if name in POINT_STREAMS else StreamKind.LOG)
            for name in missing
        ],
        ignore_conflicts=True,
    )
    return _known_streams(task_id)


def _known_streams(task_id: int) -> dict[str, StreamFacts]:
    return {
        stream.name: StreamFacts(stream.pk, stream.is_closed, stream.accepted_bytes)
        for stream in Stream.objects.filter(task_id=task_id)
    }
