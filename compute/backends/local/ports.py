"""The ports at which tasks of the local target listen for each other."""

from __future__ import annotations

import re
from pathlib import Path

#: So that a run of many tasks finds ports although others have taken some.
LEAST_PORTS = 100

_RANGE = re.compile(r"(\d{1,5})-(\d{1,5})")
_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")


def ports_parse(text: str) -> tuple[int, int]:
    """The first and the last port of a range like ``20000-27999``. Raises ValueError with a sentence."""
    found = _RANGE.fullmatch(text.strip())
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1024 <= first <= last <= 65535 or last - first + 1 < LEAST_PORTS:
        raise ValueError(
            f"TRAINHOUSE_LOCAL_PORTS is {text!r}; it must be a range of at least {LEAST_PORTS} ports between 1024 and "
            "65535, such as 20000-27999."
        )
    return first, last


def outgoing_ports() -> tuple[int, int] | None:
    """The ports that Linux gives to outgoing connections (ip(7), ip_local_port_range); None where it does not say."""
    try:
        first, last = _OUTGOING.read_text().split()
        return int(first), int(last)
    except (OSError, ValueError):
        return None
