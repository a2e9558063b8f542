"""The cursor protocol: whatever is appended, lost or repeated, the client ends with the very lines of the log."""

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from runs.live import watcher as watching
from runs.live.watcher import Watcher
from runs.live.wish import Wish
from runs.models import PointBatch, Series, Stream
from runs.stores.lines import resolve_line
from runs.stores.logs import log_delete, log_write
from runs.stores.points import points_append, points_compact
from tests.factories import make_run, make_stream, make_task
from tests.runs.live.clients import Page

pytestmark = pytest.mark.django_db

PIECES = st.one_of(
    st.binary(max_size=30), st.lists(st.sampled_from([b"line\n", b"\r", b"50%\x1b[K", b"x" * 50])).map(b"".join)
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), PIECES),
        st.tuples(st.just("points"), st.integers(1, 5)),
        st.tuples(st.just("compact"), st.none()),
        st.tuples(st.just("read"), st.none()),
        st.tuples(st.just("lose frames"), st.integers(0, 3)),
        st.tuples(st.just("reconnect"), st.none()),
        st.tuples(st.just("repeat"), st.none()),
    ),
    max_size=30,
)


@pytest.fixture
def task(db):
    return make_task(make_run())


@pytest.fixture
def stream(task):
    return make_stream(task)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(STEPS)
def test_whatever_happens_the_client_has_every_line_and_point_once(task, stream, monkeypatch, steps):
    monkeypatch.setattr(watching, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(watching, "TAIL_EVERY_S", 0.0)
    monkeypatch.setattr(watching, "_FRAME_BYTES", 60)
    monkeypatch.setattr(watching, "_POINTS_A_FRAME", 3)
    log_delete(stream.pk)
    Series.objects.all().delete()
    PointBatch.objects.all().delete()
    Stream.objects.filter(pk=stream.pk).update(is_closed=False)
    written, values = b"", []
    page = Page(stream.pk)
    watcher = connected(task, page)
    for what, detail in steps:
        if what == "append":
            log_write(stream.pk, detail)
            written += detail
        elif what == "points":
            new = [float(len(values) + number) for number in range(detail)]
            rows = {("metric", "loss"): [(None, 1.0, value) for value in new]}
            points_append(run_id=task.attempt.run_id, task_id=task.pk, points=rows)
            values += new
        elif what == "compact":
            points_compact(most_batches=2)
        elif what == "read":
            page.take(watcher.read().frames)
        elif what == "lose frames":
            page.take(watcher.read().frames[:detail])
            watcher = connected(task, page)
        elif what == "reconnect":
            watcher = connected(task, page)
        elif what == "repeat":
            frames = watcher.read().frames
            page.take(frames + frames)
    Stream.objects.filter(pk=stream.pk).update(is_closed=True)
    for _ in range(200):
        turn = watcher.read()
        page.take(turn.frames)
        if not turn.frames:
            break
    *lines, rest = written.split(b"\n")
    assert page.lines == [resolve_line(line) for line in lines]
    assert page.cursor == len(written) - len(rest)
    assert page.tail == resolve_line(rest, finished=False)
    assert page.ended
    assert page.values == values


def connected(task, page):
    watcher = Watcher(task.attempt.run_id)
    watcher.wish(Wish(state=page.version, logs={page.stream: page.cursor}, series=page.series_cursors(), kind="metric"))
    return watcher


def test_nothing_new_means_no_frames(task, stream, monkeypatch):
    monkeypatch.setattr(watching, "LOOK_EVERY_S", 0.0)
    page = Page(stream.pk)
    watcher = connected(task, page)
    page.take(watcher.read().frames)
    turn = watcher.read()
    assert turn.frames == []
    assert turn.wait_s == watching.IDLE_S


def test_the_unfinished_line_comes_at_most_five_times_a_second_and_is_not_forgotten(task, stream):
    page = Page(stream.pk)
    watcher = connected(task, page)
    log_write(stream.pk, b"10%")
    page.take(watcher.read().frames)
    log_write(stream.pk, b"\r20%")
    turn = watcher.read()
    assert turn.frames == []
    assert 0 < turn.wait_s <= watching.TAIL_EVERY_S
    assert page.tail == "10%"


def test_a_cursor_that_is_no_line_end_loses_nothing(task, stream):
    log_write(stream.pk, b"hello world\nnext\n")
    page = Page(stream.pk)
    page.cursor = 6
    page.take(connected(task, page).read().frames)
    assert page.lines == ["world", "next"]


def test_a_cursor_beyond_the_end_gets_nothing_it_could_not_place(task, stream):
    log_write(stream.pk, b"short\n")
    page = Page(stream.pk)
    page.cursor = 5000
    page.take(connected(task, page).read().frames)
    assert page.lines == []
