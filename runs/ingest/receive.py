"""One frame of one task into the stores, and the answer: what the server has now, and whether to stop.

Log bytes go to their file, which needs no database. Everything else of a frame is one short transaction: points are
taken together with the cursor of their stream, by compare-and-set, so that each is taken once whoever sends it and
however often. The bell rings after it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from django.conf import settings
from django.db import transaction

from runs.dispatch import enqueue_advance
from runs.ingest import effects
from runs.ingest.facts import TaskFacts, facts_of, forget, heartbeat_due
from runs.ingest.frame import LOG_STREAMS, POINT_STREAMS, Frame, Segment
from runs.ingest.jsonlines import Told, read_lines
from runs.ingest.meeting import Cluster, cluster_of, meeting_take
from runs.ingest.turn import own_turn
from runs.live.doorbell import ring
from runs.models import Stream
from runs.states import TASK_ENDED, SeriesKind, TaskState
from runs.stores.logs import log_append
from runs.stores.points import points_append

_KINDS = {"points": SeriesKind.METRIC, "samples": SeriesKind.SYSTEM}
#: A line of a point stream that is longer than this is passed over; the sender could not send it whole.
_LONGEST_LINE_BYTES = {"points": 512 * 1024, "samples": 64 * 1024}
_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """By stream named in the frame, the offset up to which the server has everything; ``stop_grace_s`` when the task
    is to end; to a frame that ``meets``, the cluster, None until it is complete."""

    accepted: dict[str, int]
    stop_grace_s: float | None = None
    meets: bool = False
    cluster: Cluster | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """The lines of one point segment that can be taken: the stream's cursor before and after, and what they say."""

    stream: str
    before: int
    after: int
    told: Told
    closes: bool


@dataclass(slots=True)
class _Outcome:
    """What a transaction changed that others wait for."""

    has_news: bool = False
    wakes_run: bool = False
    closed: list[str] = field(default_factory=list)


class _Overtaken(Exception):
    """Another request has moved the cursor of a point stream."""


def receive(task_id: int, frame: Frame) -> Answer:
    """Takes a frame. Idempotent; several processes may receive frames of one task. Raises TaskOver, and FrameRefused
    for a meeting that cannot be."""
    facts = facts_of(task_id)
    cluster, has_met = (None, False) if frame.meet is None else meeting_take(facts, frame.meet)
    accepted: dict[str, int] = {}
    ended: list[str] = []
    grew = False
    for segment in frame.segments:
        if segment.stream in LOG_STREAMS:
            data = _within_limit(segment)
            size = log_append(facts.streams[segment.stream].id, offset=segment.offset, data=data)
            accepted[segment.stream] = size
            grew = grew or bool(data)
            if segment.eof and size == segment.offset + len(segment.data):
                ended.append(segment.stream)
    outcome = _store(facts, frame, accepted, ended)
    if grew or has_met or outcome.has_news:
        ring(facts.run_id)
    if outcome.wakes_run:
        enqueue_advance(facts.run_id)
    return Answer(
        accepted=accepted,
        stop_grace_s=float(settings.ENV.stop_grace_s) if facts.is_stopping else None,
        meets=frame.meet is not None,
        cluster=cluster,
    )


def _within_limit(segment: Segment) -> bytes:
    """What of a log's segment lies below the limit of logs. The harness keeps to it; a script that sends in its place,
    or leaves a spool full of holes, finds the end of the store here."""
    limit = settings.ENV.log_limit_bytes
    return segment.data[: max(0, limit - segment.offset)] if limit else segment.data


def _store(facts: TaskFacts, frame: Frame, accepted: dict[str, int], ended: list[str]) -> _Outcome:
    """The database's part, tried again when another request of the task comes first."""
    segments = [segment for segment in frame.segments if segment.stream in POINT_STREAMS]
    for attempt in range(_TRIES):
        taken = [_take(facts, segment) for segment in segments]
        closes = ended + [one.stream for one in taken if one.closes]
        closes = [name for name in closes if not facts.streams[name].is_closed]
        try:
            outcome = _apply(facts, frame, taken, closes)
        except _Overtaken:
            forget(facts.task_id)
            if attempt == _TRIES - 1:
                raise
            facts = facts_of(facts.task_id)
            continue
        for one in taken:
            facts.streams[one.stream].accepted_bytes = one.after
            accepted[one.stream] = one.after
        if outcome.wakes_run or outcome.closed:
            forget(facts.task_id)
        return outcome
    raise AssertionError("unreachable")


def _take(facts: TaskFacts, segment: Segment) -> _Taken:
    """The whole lines of a segment that are new: up to its last newline, or to its end at the end of the stream."""
    before = facts.streams[segment.stream].accepted_bytes
    end = segment.offset + len(segment.data)
    data = b""
    if segment.offset <= before < end:
        data = segment.data[before - segment.offset :]
        if not segment.eof:
            whole = data.rfind(b"\n") + 1
            if whole or len(data) < _LONGEST_LINE_BYTES[segment.stream]:
                data = data[:whole]
    after = before + len(data)
    told = read_lines(data, kind=_KINDS[segment.stream], now=time.time())
    return _Taken(stream=segment.stream, before=before, after=after, told=told, closes=segment.eof and after == end)


def _apply(facts: TaskFacts, frame: Frame, taken: list[_Taken], closes: list[str]) -> _Outcome:
    outcome = _Outcome(closed=closes)
    moved = [one for one in taken if one.after > one.before]
    starts = facts.state in (TaskState.PENDING, TaskState.STARTING) and _has_script(facts, frame)
    exits = frame.exit is not None and facts.state not in TASK_ENDED
    beats = heartbeat_due(facts.task_id)
    if not (moved or closes or starts or exits or beats or frame.notices or frame.outputs is not None):
        return outcome
    with own_turn(), transaction.atomic():
        _keep_points(facts, moved)
        if starts:
            outcome.wakes_run = effects.start_note(facts)
        elif beats:
            effects.heartbeat_note(facts)
        effects.notice_note(facts, frame.notices)
        if frame.outputs is not None:
            outcome.has_news = effects.outputs_note(facts, frame.outputs)
        if exits and frame.exit is not None:
            outcome.wakes_run = effects.exit_note(facts.task_id, frame.exit) or outcome.wakes_run
        if closes:
            outcome.wakes_run = effects.close_note(facts, closes) or outcome.wakes_run
    outcome.has_news = bool(outcome.has_news or outcome.wakes_run or moved or closes or frame.notices)
    return outcome


def _has_script(facts: TaskFacts, frame: Frame) -> bool:
    """Whether the script of ``frame``'s sender has been started: with others to meet it waits until all have met."""
    return frame.meet is None and (not facts.meets or cluster_of(facts.attempt_id) is not None)


def _keep_points(facts: TaskFacts, moved: list[_Taken]) -> None:
    """Moves the cursors and stores what lay between, or raises _Overtaken and changes nothing."""
    points = {}
    for one in moved:
        row = Stream.objects.filter(pk=facts.streams[one.stream].id, accepted_bytes=one.before)
        if not row.update(accepted_bytes=one.after):
            raise _Overtaken
        points.update(one.told.points)
    refused = points_append(run_id=facts.run_id, task_id=facts.task_id, points=points).refused
    for one in moved:
        effects.told_note(facts, one.told, [key for key in refused if key in one.told.points])
