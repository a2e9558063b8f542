"""How facts look on a page: icons, durations, sizes, links that keep the rest of the query."""

from datetime import datetime, timedelta
from typing import Any

from django import template
from django.template.context import RequestContext
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from runs.models import Run

register = template.Library()


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """The symbol ``name`` of static/vendor/icons.svg; hidden from screen readers unless it has a ``label``."""
    address = f"{static('vendor/icons.svg')}#{name}"
    if label:
        return format_html(
            '<svg class="icon" role="img" aria-label="{}"><use href="{}"></use></svg>',
            label,
            address,
        )
    return format_html('<svg class="icon" aria-hidden="true" focusable="false"><use href="{}"></use></svg>', address)


@register.filter
def duration(value: timedelta | float | int | None) -> str:
    """A length of time in at most two units: ``4.2 s``, ``3 min 05 s``, ``2 h 07 min``, ``3 d 4 h``; empty for None."""
    if value is None:
        return ""
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


@register.filter
def run_time(run: Run) -> timedelta | None:
    """How long ``run`` has been running, or ran; None before it has started."""
    if run.started_at is None:
        return None
    return (run.ended_at or timezone.now()) - run.started_at


@register.filter
def moment(value: datetime | None) -> str | SafeString:
    """A moment as a ``time`` element: today by its clock, otherwise by its date; the title has it in full, in UTC."""
    if value is None:
        return ""
    local = timezone.localtime(value)
    now = timezone.localtime()
    if local.date() == now.date():
        text = local.strftime("%H:%M:%S")
    elif local.year == now.year:
        text = local.strftime("%-d %b %H:%M")
    else:
        text = local.strftime("%-d %b %Y")
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        value.isoformat(),
        local.strftime("%Y-%m-%d %H:%M:%S UTC"),
        text,
    )


@register.simple_tag(takes_context=True)
def query(context: RequestContext, **changes: Any) -> str:
    """The page's own query with ``changes`` made, as ``?a=b``; a None removes the parameter."""
    parameters = context["request"].GET.copy()
    for name, value in changes.items():
        parameters.pop(name, None)
        if value is not None:
            parameters[name] = str(value)
    return f"?{parameters.urlencode()}"
