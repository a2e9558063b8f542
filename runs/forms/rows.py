"""A field of rows, each a name and a value: script parameters, environment variables.

Names and values arrive as repeated inputs (``<field>.name``, ``<field>.value``), so that the order of the page is the
order of the rows, whatever was added, moved or removed in the browser.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from django import forms
from django.utils.datastructures import MultiValueDict

from compute.masking import is_secret_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One name with its value, both as they were typed. ``is_lost`` marks a secret whose value must be typed again."""

    name: str = ""
    value: str = ""
    is_lost: bool = False

    @property
    def is_secret(self) -> bool:
        """Whether the value is better not shown."""
        return is_secret_name(self.name)

    @property
    def is_blank(self) -> bool:
        return not self.name and not self.value


class RowsWidget(forms.Widget):
    """Reads rows from a request. Pages draw them with ``runs/_rows.html``."""

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> list[Row]:
        if not isinstance(data, MultiValueDict):
            raise TypeError(f"Rows are read from a request's data, not from {type(data).__name__}.")
        names, values = data.getlist(f"{name}.name"), data.getlist(f"{name}.value")
        return [Row(name=key, value=as_typed(value)) for key, value in zip_longest(names, values, fillvalue="")]

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        return f"{name}.name" not in data


class RowsField(forms.Field):
    """Cleans to the rows that hold something, in their order. Nothing is stripped from a value."""

    widget = RowsWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)

    def clean(self, value: Iterable[Row] | None) -> list[Row]:
        return [row for row in value or () if not row.is_blank]


def as_typed(text: str) -> str:
    """``text`` with the line ends that were typed: a browser sends every line end of a textarea as CR LF
    (https://html.spec.whatwg.org/#the-textarea-element)."""
    return text.replace("\r\n", "\n")
