"""The table of runs: its columns, how each is sorted and how a cell reads."""

from __future__ import annotations

import django_tables2 as tables
from django.db.models import DurationField, ExpressionWrapper, F, QuerySet
from django.db.models.functions import Coalesce, Now
from django.template.loader import render_to_string
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from runs.models import Run
from runs.selectors.run import progress_of
from runs.templatetags.look import duration, moment, run_time

_NOTHING = format_html('<span class="muted nothing" aria-hidden="true">{}</span>', "\N{EN DASH}")
_MOST_TAGS = 4


class RunTable(tables.Table):
    """Twenty-five runs a page, the newest first. Rows need ``experiment``, ``target`` and ``owner`` selected, and
    ``trains_on_cpu``: whether their GPUs are simulated."""

    run = tables.Column(accessor="pk", verbose_name="Run", initial_sort_descending=True)
    state = tables.Column(verbose_name="State")
    progress = tables.Column(verbose_name="Progress", orderable=False)
    target = tables.Column(accessor="target__name", verbose_name="Target")
    owner = tables.Column(accessor="owner__username", verbose_name="Owner")
    started_at = tables.Column(verbose_name="Started", empty_values=(), initial_sort_descending=True)
    duration = tables.Column(verbose_name="Duration", accessor="pk", initial_sort_descending=True)

    class Meta:
        template_name = "runs/_table.html"
        order_by = "-run"
        sequence = ("run", "state", "progress", "target", "owner", "started_at", "duration")
        attrs = {"class": "table table-hover runs-table"}

    def render_run(self, record: Run) -> SafeString:
        tags = format_html_join(" ", '<span class="tag">{}</span>', ((tag,) for tag in record.tags[:_MOST_TAGS]))
        where = format_html(
            '<span class="muted">{} <span class="num">#{}</span></span>', record.experiment, record.number
        )
        return format_html(
            '<a class="run-link" href="{}">{}</a><div class="run-sub small">{} {}</div>',
            record.get_absolute_url(),
            record.title,
            where if record.name else format_html('<span class="muted num">Run {}</span>', record.pk),
            tags,
        )

    def render_state(self, record: Run) -> str:
        return render_to_string("runs/_state.html", {"state": record.state, "label": record.get_state_display()})

    def render_progress(self, record: Run) -> SafeString:
        progress = progress_of(record.progress)
        if not progress.words:
            return _NOTHING
        if progress.percent is None or not record.is_active:
            return format_html('<span class="num">{}</span>', progress.words)
        return format_html(
            '<span class="num">{}</span><span class="meter" aria-hidden="true"><span style="width:{}%"></span></span>',
            progress.words,
            progress.percent,
        )

    def render_target(self, record: Run, value: str) -> str | SafeString:
        if not record.trains_on_cpu:  # type: ignore[attr-defined]  # annotated by the view
            return value
        return format_html('{} <span class="tag">simulated GPU</span>', value)

    def render_started_at(self, record: Run) -> str | SafeString:
        return moment(record.started_at) if record.started_at else _NOTHING

    def render_duration(self, record: Run) -> str | SafeString:
        spent = run_time(record)
        return _NOTHING if spent is None else format_html('<span class="num">{}</span>', duration(spent))

    def order_duration(self, runs: QuerySet[Run], is_descending: bool) -> tuple[QuerySet[Run], bool]:
        """By the time spent so far; runs that have not started come last."""
        spent = ExpressionWrapper(Coalesce("ended_at", Now()) - F("started_at"), output_field=DurationField())
        by = F("spent").desc(nulls_last=True) if is_descending else F("spent").asc(nulls_last=True)
        return runs.annotate(spent=spent).order_by(by, "-pk"), True
