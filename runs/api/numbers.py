"""Numbers in addresses."""

from __future__ import annotations

from collections.abc import Mapping


def whole(given: Mapping[str, str], name: str, *, default: int, least: int, most: int | None = None) -> int:
    """``given[name]`` as a whole number brought between ``least`` and ``most``; ``default`` when it is absent or no
    number. An address that somebody typed wrong shows something sensible instead of an error."""
    try:
        number = int(given.get(name, default))
    except ValueError:
        number = default
    number = max(number, least)
    return number if most is None else min(number, most)
