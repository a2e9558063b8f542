"""What the scripts of the run page fetch: curves and lines as JSON, everything as CSV."""

import csv
import io
import json

import pytest
from django.test import Client
from django.urls import reverse

from runs.stores.logs import log_write
from runs.stores.points import points_append
from tests.runs.run_page.conftest import FullRun


def series(page: Client, full: FullRun, **query) -> list[dict]:
    answer = page.get(reverse("run-series", args=[full.run.pk]), query)
    assert "NaN" not in answer.content.decode()
    return json.loads(answer.content)["series"]


def lines(page: Client, full: FullRun, **query) -> dict:
    return page.get(reverse("run-lines", args=[full.run.pk, full.output.pk]), query).json()


def test_a_curve_comes_with_the_cursor_for_the_socket(page: Client, full: FullRun):
    (curve,) = series(page, full, name="loss")
    assert curve["steps"] == [1, 2, 3]
    assert curve["values"] == [0.9, 0.5, 0.25]
    assert curve["count"] == 3
    assert curve["not_finite"] == 0


def test_values_that_are_not_finite_are_null_and_counted(page: Client, full: FullRun):
    (curve,) = series(page, full, name="val_loss")
    assert curve["values"] == [1.0, None, 0.5]
    assert curve["not_finite"] == 1


def test_machine_series_are_asked_for_by_kind(page: Client, full: FullRun):
    assert {one["name"] for one in series(page, full, kind="system")} == {
        "cpu_percent",
        "gpu0_percent",
        "gpu1_percent",
    }


def test_a_long_curve_is_thinned_out_and_keeps_its_spike(page: Client, full: FullRun):
    points = [(n, float(n), 1000.0 if n == 7777 else 0.0) for n in range(20_000)]
    points_append(run_id=full.run.pk, task_id=full.task.pk, points={("metric", "long"): points})
    (curve,) = series(page, full, name="long", most="200")
    assert len(curve["values"]) <= 200
    assert max(curve["values"]) == 1000.0
    assert curve["count"] == 20_000


@pytest.mark.parametrize("most", ["", "x", "-3", "99999999999"])
def test_a_strange_number_of_points_is_brought_into_bounds(page: Client, full: FullRun, most: str):
    assert len(series(page, full, name="loss", most=most)) == 1


def test_series_are_chosen_by_id(page: Client, full: FullRun):
    ids = [str(one["id"]) for one in series(page, full)][:2]
    assert [str(one["id"]) for one in series(page, full, id=",".join(ids))] == ids


def test_the_csv_has_every_point(page: Client, full: FullRun):
    answer = page.get(reverse("run-series-csv", args=[full.run.pk]), {"name": "loss"})
    rows = list(csv.reader(io.StringIO(answer.content.decode())))
    assert [row[5] for row in rows[1:]] == ["0.9", "0.5", "0.25"]
    assert answer["Content-Disposition"].startswith("attachment")


def test_a_name_in_the_csv_is_no_formula(page: Client, full: FullRun):
    points_append(run_id=full.run.pk, task_id=full.task.pk, points={("metric", "=1+1"): [(1, 1.0, 1.0)]})
    answer = page.get(reverse("run-series-csv", args=[full.run.pk]), {"name": "=1+1"})
    assert "'=1+1" in answer.content.decode()


def test_lines_keep_their_colours_and_tell_the_byte_cursor(page: Client, full: FullRun):
    answer = lines(page, full, first=0, count=10)
    assert answer["lines"] == ["first line", "\x1b[31msecond line\x1b[0m"]
    assert answer["rest"] == "third, unfinished"
    assert answer["total"] == 2
    assert answer["to"] == len(b"first line\n\x1b[31msecond line\x1b[0m\n")


def test_a_page_from_the_middle_and_the_tail(page: Client, full: FullRun):
    log_write(full.output.pk, b"\n" + b"".join(b"line %d\n" % n for n in range(3, 5000)))
    assert lines(page, full, first=3000, count=2)["lines"] == ["line 3000", "line 3001"]
    tail = lines(page, full, tail=2)
    assert tail["lines"] == ["line 4998", "line 4999"]
    assert tail["first"] == 4998


def test_no_page_is_larger_than_a_thousand_lines(page: Client, full: FullRun):
    log_write(full.output.pk, b"\n" * 5000)
    assert len(lines(page, full, first=0, count=10**9)["lines"]) == 1000
    assert len(lines(page, full, tail=10**9)["lines"]) == 1000


@pytest.mark.parametrize("query", [{"first": "-1"}, {"first": "x"}, {"first": str(10**12)}, {"count": "0"}])
def test_strange_line_numbers_are_answered(page: Client, full: FullRun, query: dict):
    assert lines(page, full, **query)["total"] == 2
