"""The conda part of a lock: ``# conda <name> <version> <build> <address> sha256:<hex>``, one line a package.

For uv, which reads the rest of the lock, these lines are comments. They come from a channel's index, so only lines of
exactly this form are taken, and only addresses that lie below a channel of the run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from runs.errors import EnvironmentFailed

_NAME = r"[a-z0-9_][a-z0-9_.-]*"
_VERSION = r"[A-Za-z0-9_.!+-]+"
_BUILD = r"[A-Za-z0-9_.+-]+"
_ADDRESS = r"(?:https?|file)://[^\s@\\?#]+\.(?:conda|tar\.bz2)"
_LINE = re.compile(rf"# conda ({_NAME}) ({_VERSION}) ({_BUILD}) ({_ADDRESS}) sha256:([0-9a-f]{{64}})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaRecord:
    """One package of a channel, exactly: where it is and what it must hash to."""

    name: str
    version: str
    build: str
    url: str
    sha256: str

    @property
    def line(self) -> str:
        """Its line of the lock."""
        return f"# conda {self.name} {self.version} {self.build} {self.url} sha256:{self.sha256}"

    @property
    def channel(self) -> str:
        """The address of its channel."""
        return self.url.rsplit("/", 2)[0]


def conda_record(facts: dict[str, Any], channels: Sequence[str]) -> CondaRecord:
    """The record that a channel's index gave. Raises EnvironmentFailed when it cannot be locked, or lies elsewhere."""
    record = CondaRecord(**{key: str(facts.get(key, "")) for key in ("name", "version", "build", "url", "sha256")})
    if not record.sha256:
        raise EnvironmentFailed(
            f"The channel gives no SHA-256 for {record.name} {record.version}: it cannot be locked."
        )
    if not _LINE.fullmatch(record.line) or ".." in record.url:
        raise EnvironmentFailed(f"What the channel says of {record.name[:80]!r} is no package that can be locked.")
    if not any(record.url.startswith(f"{channel}/") for channel in channels):
        raise EnvironmentFailed(
            f"The channel sends {record.name} {record.version} from {record.url}, which is not below any channel of "
            f"this run: {', '.join(channels)}. An administrator can list that address in TRAINHOUSE_CONDA_CHANNELS."
        )
    return record


def lock_conda(lock: str) -> list[CondaRecord]:
    """The conda packages of a lock, in its order."""
    names = ("name", "version", "build", "url", "sha256")
    return [
        CondaRecord(**dict(zip(names, match.groups(), strict=True)))
        for line in lock.splitlines()
        if (match := _LINE.fullmatch(line))
    ]


def conda_asked(canonical: dict[str, Any]) -> list[str]:
    """The packages that a canonical description takes from conda channels, as they were asked for."""
    conda = canonical.get("conda") or {}
    return [] if "instead" in conda else list(conda.get("packages", ()))


def with_conda(lock: str, records: Iterable[CondaRecord]) -> str:
    """``lock`` with these conda packages, sorted by name, before the rest of it."""
    lines = [record.line for record in sorted(records, key=lambda record: record.name)]
    lines += [line for line in lock.splitlines() if not _LINE.fullmatch(line)]
    return "".join(f"{line}\n" for line in lines)
