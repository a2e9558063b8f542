"""The environment of a run: how far its build is, and what is in it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runs.models import Run

#: ``name==version`` at the head of a lock's line; hashes and markers follow.
_LOCKED = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>[^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One installed package."""

    name: str
    version: str


def packages_of(run: Run) -> list[Package]:
    """The packages as they were installed for ``run``, by name; empty before the environment is ready."""
    lock = run.lock or (run.environment.lock if run.environment else "")
    return [Package(name=match["name"], version=match["version"]) for match in _LOCKED.finditer(lock)]
