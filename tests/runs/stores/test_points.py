"""Points: stored once, numbered for ever, read once while they are being compacted, even across a kill."""

import math
import multiprocessing
import os
import signal
import threading

import numpy as np
import pytest
from django.db import connection, connections, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from runs.models import PointBatch, Series, SeriesChunk
from runs.stores import compaction
from runs.stores.points import (
    SERIES_A_TASK,
    points_append,
    points_compact,
    series_downsampled,
    series_points,
    series_tails,
)
from tests.factories import make_run, make_task


@pytest.fixture
def task(db):
    return make_task(make_run())


def append(task, name="loss", values=(), kind="metric", first=None):
    rows = [(None if first is None else first + place, 1000.0 + place, value) for place, value in enumerate(values)]
    return points_append(run_id=task.attempt.run_id, task_id=task.pk, points={(kind, name): rows})


def values_of(series, **kwargs):
    return series_points(series, **kwargs).values.tolist()


def test_a_request_is_one_row_for_all_its_series(task):
    points = {("metric", "loss"): [(0, 1.0, 0.5), (1, 2.0, 0.4)], ("system", "cpu_percent"): [(None, 1.5, 80.0)]}
    assert points_append(run_id=task.attempt.run_id, task_id=task.pk, points=points).stored == 3
    assert PointBatch.objects.count() == 1
    loss, cpu = Series.objects.order_by("kind")
    assert (loss.count, loss.last_step, loss.last_value, loss.last_at) == (2, 1.0, 0.4, 2.0)
    assert (loss.min_value, loss.max_value) == (0.4, 0.5)
    assert series_points(cpu).steps.tolist() == [0.0]
    assert series_points(loss).times.tolist() == [1.0, 2.0]


def test_a_step_that_is_not_given_is_the_points_index(task):
    append(task, values=[1.0, 2.0])
    append(task, values=[3.0])
    assert series_points(Series.objects.get()).steps.tolist() == [0.0, 1.0, 2.0]


def test_nan_and_infinity_are_kept_and_do_not_spoil_the_extremes(task):
    append(task, values=[1.0, math.nan, math.inf, -2.0, -math.inf, math.nan])
    points_compact()
    series = Series.objects.get()
    assert (series.min_value, series.max_value, series.last_value) == (-2.0, 1.0, None)
    values = values_of(series)
    assert math.isnan(values[1])
    assert values[2:5] == [math.inf, -2.0, -math.inf]
    append(task, values=[math.inf])
    assert Series.objects.get().last_value == math.inf


def test_a_task_has_a_bounded_number_of_series(task):
    names = {("metric", f"name {number}"): [(0, 1.0, 1.0)] for number in range(SERIES_A_TASK + 5)}
    done = points_append(run_id=task.attempt.run_id, task_id=task.pk, points=names)
    assert (done.stored, len(done.refused)) == (SERIES_A_TASK, 5)
    assert append(task, name="one more", values=[1.0]).refused == (("metric", "one more"),)
    assert append(task, name="name 3", values=[1.0]).stored == 1


def test_a_million_points_become_a_few_hundred_rows_and_every_one_is_there(task):
    expected = np.arange(1_000_000, dtype=float)
    for start in range(0, 1_000_000, 2500):
        append(task, values=expected[start : start + 2500].tolist(), first=start)
        if start % 25_000 == 0:
            points_compact()
    points_compact()
    series = Series.objects.get()
    assert PointBatch.objects.count() == 0
    assert SeriesChunk.objects.count() < 400
    assert np.array_equal(series_points(series).values, expected)
    assert values_of(series, start=777_777, end=777_780) == [777_777.0, 777_778.0, 777_779.0]
    assert values_of(series, start=999_999) == [999_999.0]
    assert values_of(series, start=1_000_000) == []


def test_few_points_a_time_leave_few_chunks(task):
    for number in range(500):
        append(task, values=[float(number)])
        points_compact()
    assert SeriesChunk.objects.count() <= 10
    assert values_of(Series.objects.get()) == [float(number) for number in range(500)]


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(
    st.lists(st.one_of(st.just("compact"), st.lists(st.integers(0, 2), min_size=1, max_size=6)), max_size=12), st.data()
)
def test_any_order_of_appends_and_compactions_reads_the_same(task, steps, draw):
    Series.objects.all().delete()
    PointBatch.objects.all().delete()
    expected = {0: [], 1: [], 2: []}
    for step in steps:
        if step == "compact":
            points_compact(most_batches=draw.draw(st.integers(1, 3)))
            continue
        request = {}
        for number in step:
            value = float(len(expected[number]))
            expected[number].append(value)
            request.setdefault(("metric", str(number)), []).append((None, value, value))
        points_append(run_id=task.attempt.run_id, task_id=task.pk, points=request)
    series = list(Series.objects.all())
    for one in series:
        start = draw.draw(st.integers(0, one.count))
        assert values_of(one, start=start) == expected[int(one.name)][start:]
        assert one.count == len(expected[int(one.name)])
    tails = series_tails(series, {}, most=3)
    assert {one.name: tails[one.pk].values.tolist() for one in series} == {
        one.name: expected[int(one.name)][:3] for one in series
    }


@pytest.mark.django_db(transaction=True)
def test_a_reader_beside_writer_and_compaction_sees_each_point_once():
    task = make_task(make_run())
    append(task, values=[0.0])
    series = Series.objects.get()
    failures, done = [], threading.Event()

    def read():
        while not done.is_set():
            values = values_of(series)
            if values != [float(number) for number in range(len(values))]:
                failures.append(values)
        connections.close_all()

    def compact():
        while not done.is_set():
            points_compact(most_batches=3)
        connections.close_all()

    threads = [threading.Thread(target=read), threading.Thread(target=read), threading.Thread(target=compact)]
    for thread in threads:
        thread.start()
    for number in range(1, 300):
        with transaction.atomic():
            append(task, values=[float(number)])
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert values_of(series) == [float(number) for number in range(300)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("moment", ["before the batches go", "after the batches are gone"])
def test_a_kill_in_the_middle_of_compaction_loses_and_doubles_nothing(moment):
    task = make_task(make_run())
    for number in range(50):
        append(task, values=[float(number)], name="a")
        append(task, values=[float(number)] * 2, name="b")
    connection.close()
    child = multiprocessing.get_context("fork").Process(target=compact_and_die, args=(moment,))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    for _ in range(2):
        assert values_of(Series.objects.get(name="a")) == [float(number) for number in range(50)]
        assert values_of(Series.objects.get(name="b")) == [float(number // 2) for number in range(100)]
        points_compact()
    assert PointBatch.objects.count() == 0


def compact_and_die(moment):
    if moment == "before the batches go":
        compaction._append_chunk = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
    else:
        compaction.transaction = DyingAtCommit
    points_compact()


class DyingAtCommit:
    """Stands in for django.db.transaction: everything is written, and the commit never comes."""

    @staticmethod
    def atomic():
        block = transaction.atomic()
        block.__class__ = type(
            "Dying", (transaction.Atomic,), {"__exit__": lambda *_: os.kill(os.getpid(), signal.SIGKILL)}
        )
        return block


def test_a_thinned_curve_keeps_peaks_and_says_where_to_go_on(task):
    values = np.sin(np.arange(100_000) / 1000)
    values[12_345] = 99.0
    values[50_000] = math.nan
    append(task, values=values.tolist(), first=0)
    points = series_downsampled(Series.objects.get(), most=1000)
    assert len(points) <= 1100
    assert points.count == 100_000
    assert 99.0 in points.values
    assert 50_000.0 in points.steps[np.isnan(points.values)]
    assert np.all(np.diff(points.steps) > 0)


def test_a_short_curve_is_not_thinned(task):
    append(task, values=[1.0, math.nan, 3.0])
    assert len(series_downsampled(Series.objects.get(), most=1000)) == 3


def test_a_curve_of_nothing_but_nan_is_shown_as_such(task):
    append(task, values=[math.nan] * 5000)
    points = series_downsampled(Series.objects.get(), most=100)
    assert 0 < len(points) <= 200
    assert points.count == 5000
