"""Which curves share a chart, what a chart is called, and curves as plain SVG. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from runs.models import Series

BATCH_PREFIX = "batch/"
VALIDATION_PREFIX = "val_"

#: How many colours static/css/run.css has for curves.
COLOURS = 6

_LOWER_IS_BETTER = re.compile(
    r"loss|err|mae\b|mse\b|mape\b|msle\b|squared|absolute|perplexity|divergence|hinge|entropy|logcosh|wer\b|cer\b", re.I
)
_HIGHER_IS_BETTER = re.compile(r"acc|auc|precision|recall|f1|iou|dice|r2\b|bleu|rouge|score|psnr|ssim|map\b", re.I)

_GPU = re.compile(r"gpu(?P<index>\d+)_(?P<what>percent|memory_mb|power_w)")

#: Machine series by name: the chart's title and unit.
_SYSTEM = {
    "cpu_percent": ("Processor", "% of a core"),
    "memory_mb": ("Memory", "MB"),
    "processes": ("Processes", ""),
    "percent": ("GPU use", "%"),
    "gpu_memory_mb": ("GPU memory", "MB"),
    "power_w": ("GPU power", "W"),
}

#: What comes first; everything else follows by name.
_KEY_ORDER = ("val_accuracy", "accuracy", "val_loss", "loss")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One curve: a series, what the legend calls it, and the class that gives it its colour. ``base`` is its name
    without the task's: curves of one base can be averaged."""

    series: Series
    label: str
    base: str
    is_validation: bool
    colour: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart of one or more curves. ``key`` is the same for the same chart at every load."""

    key: str
    title: str
    unit: str
    traces: tuple[Trace, ...]

    @property
    def series_ids(self) -> str:
        return ",".join(str(trace.series.pk) for trace in self.traces)

    @property
    def counts(self) -> str:
        return ",".join(str(trace.series.count) for trace in self.traces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Charts under one heading; the heading may be empty."""

    title: str
    charts: tuple[Chart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One metric of the overview. ``best`` is None where it is unknown which way is better."""

    series: Series
    label: str
    best: float | None
    path: str


def metric_sections(series: Iterable[Series], *, wanted: str = "") -> list[Section]:
    """The metrics' charts: training and validation of one metric together, batch metrics under their own heading,
    accuracy and loss first. ``wanted`` keeps the charts whose title holds it, whatever the case."""
    listed = sorted(series, key=lambda one: (_is_batch(one), *_rank(_base(one.name)), one.name, one.task_id))
    sections = []
    for is_batch, members in groupby(listed, key=_is_batch):
        charts = [_metric_chart(base, list(curves)) for base, curves in groupby(members, key=lambda s: _base(s.name))]
        charts = [chart for chart in charts if wanted.lower() in chart.title.lower()]
        if charts:
            sections.append(Section(title="Per batch" if is_batch else "", charts=tuple(charts)))
    return sections


def system_sections(series: Iterable[Series], *, wanted: str = "") -> list[Section]:
    """The machine's charts, in the order in which people look; the GPUs of a kind share one chart."""
    by_what: dict[str, list[Series]] = {}
    for one in series:
        by_what.setdefault(_system_key(one.name), []).append(one)
    order = {name: place for place, name in enumerate(_SYSTEM)}
    charts = [
        _system_chart(what, curves)
        for what, curves in sorted(by_what.items(), key=lambda item: (order.get(item[0], len(order)), item[0]))
    ]
    charts = [chart for chart in charts if wanted.lower() in chart.title.lower()]
    return [Section(title="", charts=tuple(charts))] if charts else []


def key_series(series: Iterable[Series], *, most: int) -> list[Series]:
    """The metrics that matter most, ``most`` of them: accuracies and losses first, batch metrics never. Of several
    tasks' the first one's."""
    listed = [one for one in series if not _is_batch(one) and one.count]
    listed.sort(key=lambda one: (*_rank(one.name), one.task_id))
    first_of = {one.name: one for one in reversed(listed)}
    return [one for one in listed if first_of[one.name] is one][:most]


def tile(series: Series, values: Sequence[float]) -> Tile:
    """``series`` as a tile, with the curve of ``values``."""
    way = better(series.name)
    best = {"lower": series.min_value, "higher": series.max_value}.get(way or "")
    return Tile(series=series, label=series.name, best=best, path=curve_path(values))


def better(name: str) -> str | None:
    """``lower`` or ``higher``, by the metric's name; None where the name does not tell."""
    if _LOWER_IS_BETTER.search(name):
        return "lower"
    if _HIGHER_IS_BETTER.search(name):
        return "higher"
    return None


def paths(sections: Iterable[Section], values: Mapping[int, Sequence[float]]) -> dict[int, str]:
    """By series id, the SVG paths of ``values``; the curves of one chart have one scale."""
    found: dict[int, str] = {}
    for chart in (chart for section in sections for chart in section.charts):
        drawn = {trace.series.pk: values[trace.series.pk] for trace in chart.traces if trace.series.pk in values}
        scale = [value for curve in drawn.values() for value in curve]
        found |= {pk: curve_path(curve, scale=scale) for pk, curve in drawn.items()}
    return found


def curve_path(
    values: Sequence[float], *, scale: Sequence[float] | None = None, width: float = 100.0, height: float = 30.0
) -> str:
    """An SVG path of ``values`` at even distances, in a box of ``width`` x ``height`` that holds all of ``scale``
    (default: ``values``); values that are not finite are gaps. Empty without a finite value."""
    finite = [value for value in (values if scale is None else scale) if math.isfinite(value)]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    reach = (high / 2 - low / 2) or 1.0  # halves: the whole may be larger than the largest float
    level = height / 2 if high == low else None
    step = width / max(len(values) - 1, 1)
    parts, pen_down = [], False
    for place, value in enumerate(values):
        if not math.isfinite(value):
            pen_down = False
            continue
        y = level if level is not None else height - (value / 2 - low / 2) / reach * height
        parts.append(f"{'L' if pen_down else 'M'}{place * step:.2f} {y:.2f}")
        pen_down = True
    if len(parts) == 1:
        parts.append(f"H{width:.2f}")
    return "".join(parts)


def _rank(name: str) -> tuple[int, str]:
    return (_KEY_ORDER.index(name) if name in _KEY_ORDER else len(_KEY_ORDER), name)


def _is_batch(series: Series) -> bool:
    return series.name.startswith(BATCH_PREFIX)


def _base(name: str) -> str:
    """The metric's name without what tells batch from epoch and training from validation."""
    return name.removeprefix(BATCH_PREFIX).removeprefix(VALIDATION_PREFIX)


def _metric_chart(base: str, curves: list[Series]) -> Chart:
    several = len({one.task_id for one in curves}) > 1
    paired = len({one.name for one in curves}) > 1
    traces = []
    for place, one in enumerate(curves):
        is_validation = one.name.removeprefix(BATCH_PREFIX).startswith(VALIDATION_PREFIX)
        base_label = ("validation" if is_validation else "training") if paired else one.name.removeprefix(BATCH_PREFIX)
        label = f"{base_label}, {one.task}" if several else base_label
        traces.append(
            Trace(series=one, label=label, base=base_label, is_validation=is_validation, colour=_colour(place))
        )
    title = base if paired else curves[0].name.removeprefix(BATCH_PREFIX)
    kind = "batch" if _is_batch(curves[0]) else "metric"
    return Chart(key=f"{kind}:{base}", title=title, unit="", traces=tuple(traces))


def _colour(place: int) -> str:
    return f"curve-{place % COLOURS + 1}"


def _system_key(name: str) -> str:
    gpu = _GPU.fullmatch(name)
    if gpu is None:
        return name
    return "gpu_memory_mb" if gpu["what"] == "memory_mb" else gpu["what"]


def _system_chart(what: str, curves: list[Series]) -> Chart:
    title, unit = _SYSTEM.get(what, (what, ""))
    several = len({one.task_id for one in curves}) > 1
    traces = []
    for place, one in enumerate(sorted(curves, key=lambda s: (s.task_id, len(s.name), s.name))):
        gpu = _GPU.fullmatch(one.name)
        base = f"GPU {gpu['index']}" if gpu else title
        label = f"{base}, {one.task}" if several else base
        traces.append(Trace(series=one, label=label, base=base, is_validation=False, colour=_colour(place)))
    return Chart(key=f"system:{what}", title=title, unit=unit, traces=tuple(traces))
