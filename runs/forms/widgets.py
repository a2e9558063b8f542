"""The inputs that forms share: words that are code, which no browser should mend."""

from __future__ import annotations

from typing import Any

from django import forms

_AS_TYPED = {"class": "form-control mono", "autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}


def code_line(**attrs: Any) -> forms.TextInput:
    """One line."""
    return forms.TextInput(attrs={**_AS_TYPED, **attrs})


def code_lines(*, rows: int = 3, **attrs: Any) -> forms.Textarea:
    """Several lines, ``rows`` of them seen at once."""
    return forms.Textarea(attrs={**_AS_TYPED, "rows": rows, **attrs})


def described(name: str) -> dict[str, Any]:
    """The attribute that joins the field ``name`` to its help and to the place of its errors, for fields whose answer
    comes while they are typed."""
    return {"aria-describedby": f"id_{name}_helptext id_{name}_error"}
