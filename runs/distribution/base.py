"""What every distribution answers."""

from dataclasses import dataclass
from typing import Protocol

from compute.plan import ResourceRequest
from runs.spec import RunSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One task of a run. ``ends_run`` is false for daemons, whose end the platform brings about."""

    name: str
    index: int
    ends_run: bool = True


class Distribution(Protocol):
    """Pure: the same spec gives the same answers, and nothing is touched."""

    def request(self, spec: RunSpec) -> ResourceRequest:
        """The slots that the tasks need."""
        ...

    def roles(self, spec: RunSpec) -> tuple[Role, ...]:
        """The tasks, in launch order."""
        ...
