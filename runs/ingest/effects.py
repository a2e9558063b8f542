"""What a task's words change beyond the stores: its own row, its run's progress and tags, files, events.

Each function runs inside the transaction of its request and is idempotent: a request that comes twice changes
nothing the second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone

from django.utils.timezone import now

from compute.plan import ExitRecord, OutputFile
from runs.ingest.facts import TaskFacts
from runs.ingest.jsonlines import Told
from runs.models import Artifact, Record, Run, RunEvent, Stream, Task
from runs.states import TASK_ENDED, ArtifactPlace, TaskState
from runs.stores.points import SERIES_A_TASK, SeriesKey

RECORDS_A_TASK = 10_000
TAGS_A_RUN = 50
_WAITING = (TaskState.PENDING, TaskState.STARTING)


def start_note(facts: TaskFacts) -> bool:
    """The task's script has been started; True when that is news."""
    moment = now()
    return bool(
        Task.objects.filter(pk=facts.task_id, state__in=_WAITING).update(
            state=TaskState.RUNNING, started_at=moment, heartbeat_at=moment
        )
    )


def exit_note(task_id: int, record: ExitRecord) -> bool:
    """The task's script has ended; True when that is news. What is known already stays."""
    return bool(
        Task.objects.filter(pk=task_id)
        .exclude(state__in=TASK_ENDED)
        .update(
            state=TaskState.EXITED,
            exit_code=record.code,
            exit_signal=record.signal,
            out_of_memory=record.out_of_memory,
            port_taken=record.port_taken,
            max_rss_bytes=record.max_rss_bytes,
            ended_at=min(now(), datetime.fromtimestamp(record.ended_at, tz=timezone.utc)),
        )
    )


def heartbeat_note(facts: TaskFacts) -> None:
    Task.objects.filter(pk=facts.task_id).update(heartbeat_at=now())


def close_note(facts: TaskFacts, names: Iterable[str]) -> bool:
    """The streams of these names are here to their end; True when they were the last of the task."""
    Stream.objects.filter(pk__in=[facts.streams[name].id for name in names]).update(is_closed=True)
    if Stream.objects.filter(task_id=facts.task_id, is_closed=False).exists():
        return False
    return bool(Task.objects.filter(pk=facts.task_id, is_drained=False).update(is_drained=True))


def told_note(facts: TaskFacts, told: Told, refused: Sequence[SeriesKey]) -> None:
    """Keeps what the lines said beyond points, and says what could not be kept."""
    if told.progress is not None and facts.tells_progress:
        Run.objects.filter(pk=facts.run_id).update(progress=told.progress)
    if told.tags:
        _merge_tags(facts.run_id, told.tags)
    if told.records:
        _keep_records(facts, told)
    if told.unread:
        lines = "One line" if told.unread == 1 else f"{told.unread:,} lines"
        event_once(
            facts,
            "points_unread",
            f"{lines} of the metrics of {facts.task_name} could not be read and were passed over, and so will others "
            f"be. The first: {told.first_unread}",
        )
    if refused:
        event_once(
            facts,
            "series_limit",
            f"{facts.task_name} logs more than {SERIES_A_TASK:,} metrics; {refused[0][1]!r} and other new names are "
            "not kept. Log fewer names, and what changes as a value.",
        )


def outputs_note(facts: TaskFacts, files: Sequence[OutputFile]) -> bool:
    """The task's folder now holds these files; True when that is news. What the server keeps already stays."""
    known = {
        row["path"]: row
        for row in Artifact.objects.filter(task_id=facts.task_id).values(
            "id", "path", "size_bytes", "modified_at", "place"
        )
    }
    new, changed = [], []
    for file in files:
        row = known.get(file.path)
        fresh = Artifact(
            run_id=facts.run_id,
            task_id=facts.task_id,
            path=file.path,
            size_bytes=file.size_bytes,
            modified_at=file.modified_at,
        )
        if row is None:
            new.append(fresh)
        elif row["place"] == ArtifactPlace.TASK and (row["size_bytes"], row["modified_at"]) != (
            file.size_bytes,
            file.modified_at,
        ):
            fresh.pk = row["id"]
            changed.append(fresh)
    here = {file.path for file in files}
    gone = [row["id"] for path, row in known.items() if path not in here and row["place"] == ArtifactPlace.TASK]
    Artifact.objects.bulk_create(new, ignore_conflicts=True)
    Artifact.objects.bulk_update(changed, ["size_bytes", "modified_at"], batch_size=200)
    Artifact.objects.filter(pk__in=gone).delete()
    return bool(new or changed or gone)


def notice_note(facts: TaskFacts, notices: dict[str, str]) -> None:
    """What the harness says of its streams, such as that one has reached its limit: once a stream."""
    for stream, text in notices.items():
        event_once(facts, f"notice_{stream}", text)


def event_once(facts: TaskFacts, kind: str, message: str) -> None:
    """An event of the run, unless this task has one of this kind already."""
    mine = {"task": facts.task_id}
    if not RunEvent.objects.filter(run_id=facts.run_id, kind=kind, data__task=facts.task_id).exists():
        RunEvent.objects.create(run_id=facts.run_id, kind=kind, message=message, data=mine)


def _merge_tags(run_id: int, tags: dict[str, str]) -> None:
    """Tags are words or ``name: value``; a name that comes again replaces its value."""
    kept = {tag.partition(": ")[0]: tag for tag in Run.objects.select_for_update().get(pk=run_id).tags}
    before = dict(kept)
    for name, value in tags.items():
        if name in kept or len(kept) < TAGS_A_RUN:
            kept[name] = f"{name}: {value}" if value else name
    if kept != before:
        Run.objects.filter(pk=run_id).update(tags=list(kept.values()))


def _keep_records(facts: TaskFacts, told: Told) -> None:
    room = max(0, RECORDS_A_TASK - Record.objects.filter(task_id=facts.task_id).count())
    Record.objects.bulk_create(
        [
            Record(run_id=facts.run_id, task_id=facts.task_id, kind=kind, name=name, data=data, at=at)
            for kind, name, data, at in told.records[:room]
        ]
    )
    if len(told.records) > room:
        event_once(
            facts,
            "records_limit",
            f"{facts.task_name} logged more than {RECORDS_A_TASK:,} rows, tables, lists and images; the rest is not "
            "kept. Put large tables into a file below outputs/.",
        )
