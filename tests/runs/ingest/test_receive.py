"""What a frame changes: stores, the task's row, the run's, events and files."""

import json
import math
import time
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runs.ingest import facts
from runs.ingest import receive as receiving
from runs.ingest.errors import TaskOver
from runs.ingest.frame import STREAMS, Frame, Segment, parse
from runs.ingest.receive import receive
from runs.models import Artifact, PointBatch, Record, Run, RunEvent, Series, Stream, Task
from runs.states import RunState, TaskState
from runs.stores.logs import log_delete, log_read
from runs.stores.points import series_points
from tests.factories import make_run, make_task
from tests.runs.ingest.wire_calls import frame

pytestmark = pytest.mark.django_db


@pytest.fixture
def rung(monkeypatch):
    """The runs that were rung for, and those that were to be advanced."""
    calls = {"ring": [], "advance": []}
    monkeypatch.setattr("runs.ingest.receive.ring", calls["ring"].append)
    monkeypatch.setattr("runs.ingest.receive.enqueue_advance", calls["advance"].append)
    return calls


@pytest.fixture
def task(db, rung):
    return make_task(make_run(state=RunState.STARTING), state=TaskState.STARTING)


def take(task, *segments, **head):
    return receive(task.pk, parse(frame(*segments, **head)))


def fresh(task):
    return Task.objects.get(pk=task.pk)


def output_of(task):
    return log_read(Stream.objects.get(task=task, name="output").pk, offset=0, size=1 << 20)


def point(value, name="loss", step=None):
    return json.dumps({"k": "point", "n": name, "s": step, "t": 1000.0, "v": value}).encode() + b"\n"


def test_the_first_frame_makes_the_task_run(task, rung):
    take(task, state="started")
    now = fresh(task)
    assert now.state == TaskState.RUNNING
    assert now.started_at is not None
    assert now.heartbeat_at is not None
    assert rung == {"ring": [task.attempt.run_id], "advance": [task.attempt.run_id]}
    facts.forget(task.pk)
    take(task)
    assert fresh(task).started_at == now.started_at
    assert len(rung["advance"]) == 1


def test_a_log_only_frame_writes_nothing_into_the_database(task, rung, django_assert_num_queries):
    take(task)
    take(task)
    with django_assert_num_queries(0):
        answer = take(task, ("output", 0, b"hello\n"), ("harness", 0, b"started\n"))
    assert answer.accepted == {"output": 6, "harness": 8}
    assert output_of(task) == b"hello\n"
    assert rung["ring"][-1] == task.attempt.run_id


def test_a_heartbeat_is_written_every_ten_seconds_at_most(task, monkeypatch):
    take(task)
    first = fresh(task).heartbeat_at
    take(task)
    assert fresh(task).heartbeat_at == first
    monkeypatch.setattr(facts, "_heartbeats", {task.pk: time.monotonic() - facts.HEARTBEAT_EVERY_S})
    take(task)
    assert fresh(task).heartbeat_at > first


def test_a_gap_is_answered_with_what_is_here(task):
    take(task, ("output", 0, b"abc"))
    assert take(task, ("output", 10, b"xyz"), ("points", 50, point(1.0))).accepted == {"output": 3, "points": 0}
    assert output_of(task) == b"abc"
    assert PointBatch.objects.count() == 0


def test_points_are_taken_up_to_the_last_newline(task):
    line = point(0.5)
    answer = take(task, ("points", 0, line + b'{"k": "poi'))
    assert answer.accepted == {"points": len(line)}
    rest = point(0.25)
    assert take(task, ("points", len(line), rest)).accepted == {"points": len(line) * 2 + 1}
    assert series_points(Series.objects.get()).values.tolist() == [0.5, 0.25]


def test_the_last_line_of_a_closed_stream_needs_no_newline(task):
    line = point(0.5)[:-1]
    take(task, ("points", 0, line, True))
    assert Series.objects.get().count == 1
    assert Stream.objects.get(task=task, name="points").is_closed


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 90), st.booleans()), max_size=25))
def test_duplicated_and_overlapping_segments_give_every_point_and_byte_once(task, pieces):
    PointBatch.objects.all().delete()
    Series.objects.all().delete()
    for stream in Stream.objects.filter(task=task):
        log_delete(stream.pk)
    Stream.objects.filter(task=task).update(accepted_bytes=0)
    facts.forget(task.pk)
    data = b"".join(point(float(number), step=number) for number in range(12))
    accepted = {"points": 0, "output": 0}
    for back, length, forgets in [*pieces, (0, len(data), True), (0, len(data), False)]:
        if forgets:
            facts.forget(task.pk)
        segments = []
        for stream, offset in accepted.items():
            start = max(0, offset - back)
            segments.append((stream, start, data[start : start + length]))
        accepted = take(task, *segments).accepted
    assert accepted == {"points": len(data), "output": len(data)}
    assert output_of(task) == data
    series = Series.objects.get()
    assert series_points(series).values.tolist() == [float(number) for number in range(12)]
    assert (series.count, series.min_value, series.max_value, series.last_step) == (12, 0.0, 11.0, 11.0)


def test_another_process_may_have_taken_the_same_bytes_first(task):
    first, second = point(1.0), point(2.0)
    take(task, ("points", 0, first))
    behind = facts.facts_of(task.pk)
    kept = behind.streams["points"].accepted_bytes
    take(task, ("points", len(first), second))
    behind.streams["points"].accepted_bytes = kept
    assert take(task, ("points", 0, first + second)).accepted == {"points": len(first + second)}
    assert series_points(Series.objects.get()).values.tolist() == [1.0, 2.0]


def test_nan_and_infinity_arrive(task):
    take(task, ("points", 0, point(math.nan) + point(math.inf) + point(1.0)))
    values = series_points(Series.objects.get()).values.tolist()
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, 1.0]


BAD_LINES = [
    b"not json",
    b"[1, 2]",
    b'"text"',
    b"null",
    b"{}",
    b'{"k": "unknown"}',
    b'{"k": ["point"]}',
    b'{"k": "point", "n": "x"}',
    b'{"k": "point", "n": "", "v": 1}',
    b'{"k": "point", "n": 3, "v": 1}',
    b'{"k": "point", "n": "x", "v": "1"}',
    b'{"k": "point", "n": "x", "v": 1e999999999999, "s": "first"}',
    b'{"k": "point", "n": "x", "v": ' + b"9" * 5000 + b"}",
    b'{"k": "point", "n": "x", "v": ' + b"9" * 400 + b"}",
    b'{"k": "points", "p": [["x", 1, 1.0]]}',
    b'{"k": "points", "p": 3}',
    b'{"k": "progress", "epoch": NaN}',
    b'{"k": "progress", "epoch": "three"}',
    b'{"k": "tags", "d": [1]}',
    b'{"k": "row", "n": "r"}',
    b'{"k": "table", "n": "deep", "d": ' + b"[" * 500 + b"]" * 500 + b"}",
    b"[" * 100_000,
    b"\xff\xfe\x00",
]


def test_bad_lines_are_passed_over_and_said_once(task):
    data = b"".join(line + b"\n" + point(float(number)) for number, line in enumerate(BAD_LINES))
    take(task, ("points", 0, data))
    assert Series.objects.get().count == len(BAD_LINES)
    take(task, ("points", len(data), b"more rubbish\n"))
    event = RunEvent.objects.get(kind="points_unread")
    assert event.message.startswith(f"{len(BAD_LINES)} lines of the metrics of chief 0 could not be read")
    assert "not json" in event.message


def test_hostile_names_are_made_harmless(task):
    names = ["a\x00b", "\ud800", "x" * 5000, "<script>alert(1)</script>", "'; DROP TABLE runs_series; --", "../../etc"]
    take(task, ("points", 0, b"".join(point(1.0, name=name) for name in names)))
    assert sorted(Series.objects.values_list("name", flat=True)) == sorted(
        ["a\ufffdb", "\ufffd", "x" * 250, "<script>alert(1)</script>", "'; DROP TABLE runs_series; --", "../../etc"]
    )


def test_a_line_too_long_to_be_sent_does_not_block_the_stream(task):
    head = b'{"k": "point", "n": "' + b"x" * 600_000
    assert take(task, ("points", 0, head)).accepted == {"points": len(head)}
    tail = b'"}\n' + point(1.0)
    take(task, ("points", len(head), tail))
    assert Series.objects.get().count == 1


def test_samples_become_system_series(task):
    take(task, ("samples", 0, point(50.0, name="cpu_percent") + b'{"k": "tags", "d": {"a": "b"}}\n'))
    assert Series.objects.get().kind == "system"
    assert Run.objects.get().tags == []


def test_progress_tags_and_records_reach_the_run(task):
    lines = [
        {"k": "progress", "epoch": 1, "epochs": 20, "batch": 3, "other": "dropped"},
        {"k": "progress", "epoch": 2, "epochs": 20, "eta_s": 41.5},
        {"k": "tags", "d": {"model": "small", "baseline": None}},
        {"k": "tags", "d": {"model": "large"}},
        {"k": "row", "n": "result", "d": {"acc": math.nan, "name": "a\x00b", "deep": [{"x": math.inf}]}, "t": 5.0},
        {"k": "image", "n": "digit", "d": {"png": "aGVsbG8="}},
    ]
    take(task, ("points", 0, b"".join(json.dumps(line).encode() + b"\n" for line in lines)))
    run = Run.objects.get()
    assert run.progress == {"epoch": 2, "epochs": 20, "eta_s": 41.5}
    assert sorted(run.tags) == ["baseline", "model: large"]
    row, image = Record.objects.all()
    assert row.data == {"acc": "nan", "name": "a\ufffdb", "deep": [{"x": "inf"}]}
    assert row.at == 5.0
    assert image.data == {"png": "aGVsbG8="}
    assert not RunEvent.objects.filter(kind="points_unread").exists()


def test_the_progress_of_a_run_is_that_of_the_first_of_equal_tasks(task):
    other = make_task(task.attempt.run, role="rank", index=1)
    take(task, ("points", 0, b'{"k": "progress", "epoch": 2}\n'))
    take(other, ("points", 0, b'{"k": "progress", "epoch": 1}\n'))
    assert Run.objects.get().progress == {"epoch": 2}


def test_the_exit_is_written_down_once(task, rung):
    take(task)
    record = {"code": 3, "signal": None, "out_of_memory": False, "max_rss_bytes": 1 << 30, "ended_at": 1_700_000_000.0}
    take(task, exit=record)
    ended = fresh(task)
    assert (ended.state, ended.exit_code, ended.exit_signal, ended.max_rss_bytes) == (
        TaskState.EXITED,
        3,
        None,
        1 << 30,
    )
    assert ended.ended_at.timestamp() == 1_700_000_000.0
    take(task, exit={**record, "code": 4})
    assert fresh(task).exit_code == 3
    assert len(rung["advance"]) == 2


def test_a_script_that_ended_before_the_first_frame_still_started(task):
    take(task, exit={"code": None, "signal": 9, "out_of_memory": True, "ended_at": time.time() + 3600})
    ended = fresh(task)
    assert (ended.state, ended.exit_signal, ended.out_of_memory) == (TaskState.EXITED, 9, True)
    assert ended.started_at is not None
    assert ended.ended_at <= timezone.now()


def test_the_task_is_drained_when_every_stream_is_closed(task, rung):
    take(task, ("output", 0, b"last words"))
    take(task, ("output", 10, b"", True), ("points", 0, b"", True), ("samples", 0, b"", True))
    assert not fresh(task).is_drained
    before = len(rung["advance"])
    take(task, ("harness", 0, b"bye\n", True))
    assert fresh(task).is_drained
    assert len(rung["advance"]) == before + 1


def test_an_end_beyond_a_gap_closes_nothing(task):
    take(task, ("output", 5, b"x", True))
    assert not Stream.objects.get(task=task, name="output").is_closed


def test_a_run_that_is_being_stopped_says_so_in_the_answer(task, settings):
    assert take(task).stop_grace_s is None
    Run.objects.update(state=RunState.STOPPING)
    facts.forget(task.pk)
    assert take(task).stop_grace_s == settings.ENV.stop_grace_s


def test_a_task_may_speak_until_it_is_drained_and_no_longer(task):
    Run.objects.update(state=RunState.COMPLETED, ended_at=timezone.now())
    take(task, ("output", 0, b"late words"))
    Task.objects.update(is_drained=True)
    facts.forget(task.pk)
    with pytest.raises(TaskOver):
        take(task, ("output", 10, b"too late"))
    assert output_of(task) == b"late words"


def test_a_task_of_last_month_is_over(task, settings):
    Run.objects.update(
        state=RunState.FAILED, ended_at=timezone.now() - timedelta(days=settings.ENV.token_days, hours=1)
    )
    with pytest.raises(TaskOver, match="7 days"):
        take(task)


def test_a_task_that_was_deleted_is_over(task):
    pk = task.pk
    Run.objects.get().attempts.all().delete()
    with pytest.raises(TaskOver):
        receive(pk, Frame())


def test_files_appear_change_and_go(task, rung):
    take(task, outputs=[["outputs/a.keras", 10, 1.5], ["outputs/b.txt", 5, 2.0]])
    take(task, outputs=[["outputs/a.keras", 20, 3.5]])
    file = Artifact.objects.get()
    assert (file.path, file.size_bytes, file.modified_at, file.place) == ("outputs/a.keras", 20, 3.5, "task")
    rings = len(rung["ring"])
    take(task, outputs=[["outputs/a.keras", 20, 3.5]])
    assert len(rung["ring"]) == rings


def test_files_that_the_server_keeps_are_not_touched(task):
    Artifact.objects.create(
        run=task.attempt.run, task=task, path="outputs/a", size_bytes=1, modified_at=1.0, place="store", storage_key="k"
    )
    take(task, outputs=[["outputs/a", 99, 9.0]])
    take(task, outputs=[])
    assert Artifact.objects.get().size_bytes == 1


@pytest.mark.parametrize(
    "path", ["../etc/passwd", "/etc/passwd", "outputs/../../x", "", ".", "a\nb", "a//b", "x" * 2000]
)
def test_a_file_with_a_hostile_path_is_not_listed(task, path):
    take(task, outputs=[[path, 1, 1.0], ["outputs/good", 1, 1.0]])
    assert [file.path for file in Artifact.objects.all()] == ["outputs/good"]


def test_a_notice_is_an_event_once(task):
    for _ in range(2):
        take(task, notice={"output": "The output has reached this run's limit.", "nonsense": "x"})
    assert [event.message for event in RunEvent.objects.filter(kind="notice_output")] == [
        "The output has reached this run's limit."
    ]


def test_every_stream_has_a_row_from_the_first_frame_on(task):
    take(task)
    assert set(Stream.objects.filter(task=task).values_list("name", flat=True)) == set(STREAMS)


def test_a_request_that_is_always_overtaken_gives_up(task, monkeypatch):
    take(task)
    monkeypatch.setattr(receiving, "_keep_points", lambda *args: (_ for _ in ()).throw(receiving._Overtaken()))
    with pytest.raises(receiving._Overtaken):
        receive(task.pk, Frame(segments=(Segment(stream="points", offset=0, data=point(1.0)),)))


def test_a_sender_that_ignores_the_limit_of_logs_gets_no_further(task, settings):
    changed = {name: getattr(settings.ENV, name) for name in settings.ENV.__slots__} | {"log_limit_bytes": 10}
    settings.ENV = settings.ENV.__class__(**changed)
    assert take(task, ("output", 0, b"0123456789abc")).accepted == {"output": 10}
    assert take(task, ("output", 10, b"abc")).accepted == {"output": 10}
    assert output_of(task) == b"0123456789"
