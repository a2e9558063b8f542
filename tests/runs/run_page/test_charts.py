"""Which curves share a chart, curves as SVG, and progress in words. Pure."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runs.charts import better, curve_path, key_series, metric_sections, paths, system_sections, tile
from runs.models import Series
from runs.selectors.run import progress_of
from runs.templatetags.run_page import number


def named(*names: str, task_id: int = 1) -> list[Series]:
    return [Series(pk=place + 1, name=name, task_id=task_id, count=3) for place, name in enumerate(names)]


def titles(sections) -> dict[str, list[str]]:
    return {section.title: [chart.title for chart in section.charts] for section in sections}


def test_validation_joins_its_training_curve():
    (section,) = metric_sections(named("val_loss", "loss", "lr"))
    loss, rate = section.charts
    assert [(trace.series.name, trace.label) for trace in loss.traces] == [
        ("loss", "training"),
        ("val_loss", "validation"),
    ]
    assert [trace.colour for trace in loss.traces] == ["curve-1", "curve-2"]
    assert [trace.label for trace in rate.traces] == ["lr"]


def test_a_validation_curve_alone_keeps_its_name():
    (section,) = metric_sections(named("val_loss"))
    assert section.charts[0].title == "val_loss"


def test_accuracy_and_loss_come_first_and_batches_last():
    sections = metric_sections(named("batch/loss", "a_metric", "loss", "accuracy", "val_accuracy"))
    assert titles(sections) == {"": ["accuracy", "loss", "a_metric"], "Per batch": ["loss"]}


def test_the_filter_keeps_what_holds_the_text():
    assert titles(metric_sections(named("loss", "accuracy"), wanted="ACC")) == {"": ["accuracy"]}
    assert metric_sections(named("loss"), wanted="x") == []


def test_machine_charts_have_titles_units_and_an_order():
    (section,) = system_sections(named("gpu10_percent", "gpu2_percent", "memory_mb", "cpu_percent", "odd"))
    assert [chart.title for chart in section.charts] == ["Processor", "Memory", "GPU use", "odd"]
    assert [trace.label for trace in section.charts[2].traces] == ["GPU 2", "GPU 10"]


def test_key_metrics_leave_batches_out():
    names = [one.name for one in key_series(named("batch/loss", "z", "loss", "val_accuracy"), most=2)]
    assert names == ["val_accuracy", "loss"]


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("val_loss", "lower"),
        ("mae", "lower"),
        ("sparse_categorical_accuracy", "higher"),
        ("auc", "higher"),
        ("lr", None),
    ],
)
def test_which_way_is_better_is_told_by_the_name(name: str, way: str | None):
    assert better(name) == way


def test_a_tile_shows_the_best_value():
    assert tile(Series(name="loss", min_value=0.1, max_value=0.9), [0.9, 0.1]).best == 0.1
    assert tile(Series(name="accuracy", min_value=0.1, max_value=0.9), []).best == 0.9
    assert tile(Series(name="lr", min_value=0.1, max_value=0.9), []).best is None


def test_a_curve_goes_from_the_lower_left_to_the_upper_right():
    assert curve_path([0, 1]) == "M0.00 30.00L100.00 0.00"


def test_the_curves_of_one_chart_share_a_scale():
    series = named("loss", "val_loss")
    drawn = paths(metric_sections(series), {1: [0.0, 1.0], 2: [0.0, 2.0]})
    assert drawn == {1: "M0.00 30.00L100.00 15.00", 2: "M0.00 30.00L100.00 0.00"}


def test_a_gap_lifts_the_pen():
    assert curve_path([0, math.nan, 1, 0]).count("M") == 2
    assert curve_path([math.nan, math.inf]) == ""
    assert curve_path([]) == ""


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=50))
@example([1e299, -1.7976931337126085e308])
def test_a_path_stays_within_its_box(values: list[float]):
    path = curve_path(values)
    for pair in path.replace("L", "M").split("H")[0].split("M")[1:]:
        x, y = map(float, pair.split())
        assert -0.01 <= x <= 100.01
        assert -0.01 <= y <= 30.01


@pytest.mark.parametrize(
    ("told", "words", "percent"),
    [
        ({}, "", None),
        ({"epoch": 3, "epochs": 20}, "Epoch 3 of 20", 15.0),
        ({"epoch": 3, "epochs": 20, "batch": 10, "batches": 20}, "Epoch 3 of 20", 12.5),
        ({"epoch": 3}, "Epoch 3", None),
        ({"batch": 5, "batches": 10}, "Batch 5 of 10", 50.0),
        ({"epoch": 30, "epochs": 20}, "Epoch 30 of 20", 100.0),
        ({"epoch": "x", "epochs": [], "eta_s": "soon"}, "", None),
        ({"epoch": math.nan, "eta_s": math.inf}, "", None),
        ({"epoch": 0, "epochs": 0}, "Epoch 0", None),
    ],
)
def test_progress_is_told_whatever_a_script_sends(told: dict, words: str, percent: float | None):
    progress = progress_of(told)
    assert progress.words == words
    assert progress.percent == percent
    assert progress.eta_s is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.123456789, "0.12346"),
        (3.0, "3"),
        (1234567.0, "1,234,567"),
        (None, "\u2013"),
        (math.nan, "nan"),
        (1e-9, "1e-09"),
    ],
)
def test_values_are_short(value: float | None, words: str):
    assert number(value) == words
