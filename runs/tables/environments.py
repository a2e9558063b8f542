"""The table of environments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import django_tables2 as tables
from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString

from runs.selectors.environments import condition_of, environment_title
from runs.templatetags.look import moment

if TYPE_CHECKING:
    from runs.selectors.environments import ListedEnvironment

_NOTHING = format_html('<span class="muted nothing" aria-hidden="true">{}</span>', "\N{EN DASH}")


class EnvironmentTable(tables.Table):
    """The last used first. Rows need ``target`` selected and what ``environments_listed`` annotates."""

    environment = tables.Column(accessor="pk", verbose_name="Environment", orderable=False)
    state = tables.Column(verbose_name="State")
    python = tables.Column(accessor="python_version", verbose_name="Python", empty_values=())
    size = tables.Column(accessor="size_bytes", verbose_name="Size", empty_values=(), initial_sort_descending=True)
    used_at = tables.Column(verbose_name="Last use", initial_sort_descending=True)
    runs = tables.Column(accessor="run_count", verbose_name="Runs", initial_sort_descending=True)
    target = tables.Column(accessor="target__name", verbose_name="Target")

    class Meta:
        template_name = "environments/_table.html"
        order_by = "-used_at"
        attrs = {"class": "table table-hover environments-table"}

    def render_environment(self, record: ListedEnvironment) -> SafeString:
        title = environment_title(record)
        return format_html(
            '<a class="environment-link" href="{}">{}</a>'
            '<div class="environment-sub small muted"><span class="mono">{}</span>{}</div>',
            record.get_absolute_url(),
            title.name,
            str(record)[:8],
            format_html("<span>{}</span>", title.extras) if title.extras else "",
        )

    def render_state(self, record: ListedEnvironment) -> str:
        condition = condition_of(record)
        return render_to_string("runs/_state.html", {"state": condition.state, "label": condition.label})

    def render_python(self, record: ListedEnvironment) -> str | SafeString:
        return format_html('<span class="num">{}</span>', record.python_version) if record.python_version else _NOTHING

    def render_size(self, record: ListedEnvironment) -> str | SafeString:
        if not record.size_bytes or not record.path:
            return _NOTHING
        return format_html('<span class="num">{}</span>', filesizeformat(record.size_bytes))

    def render_used_at(self, record: ListedEnvironment) -> str | SafeString:
        return moment(record.used_at)

    def render_runs(self, record: ListedEnvironment) -> SafeString:
        return format_html('<span class="num">{}</span>', record.run_count)
