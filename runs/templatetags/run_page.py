"""How numbers look on the run page."""

import math
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from django import template

register = template.Library()


@register.filter
def number(value: float | None) -> str:
    """A metric's value in at most five significant digits; a dash where there is none."""
    if value is None:
        return "\N{EN DASH}"
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.5g}"


@register.filter
def from_unix(seconds: float) -> datetime:
    """Unix seconds as a moment in UTC."""
    return datetime.fromtimestamp(seconds, tz=timezone.utc)


@register.filter
def at(values: Mapping[Any, Any], key: Any) -> Any:
    """``values[key]``, or None."""
    return values.get(key)
