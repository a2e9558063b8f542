"""A compute backend that misbehaves on demand: what nothing real does reliably. The rest meets the real one."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compute.errors import LaunchRefused, TargetUnreachable
from compute.plan import ExitRecord, Handle, LaunchPlan, Liveness, OutputFile, SpoolFile, TaskStatus


@dataclass
class FakeBackend:
    """Tasks are rows of a table. ``spools`` and ``produced`` are what each task has left behind.

    ``starts`` false: a launch is refused. ``obeys`` false: a stop is ignored, only a kill ends the task.
    ``reachable`` false: every call fails as if the machine were away.
    """

    starts: bool = True
    obeys: bool = True
    reachable: bool = True
    launches: list[str] = field(default_factory=list)
    stops: list[str] = field(default_factory=list)
    kills: list[str] = field(default_factory=list)
    cleaned: list[str] = field(default_factory=list)
    statuses: dict[str, TaskStatus] = field(default_factory=dict)
    spools: dict[str, dict[str, bytes]] = field(default_factory=dict)
    produced: dict[str, dict[str, bytes]] = field(default_factory=dict)
    on_launch: Callable[[LaunchPlan], None] = lambda plan: None
    abilities: frozenset = frozenset()

    def render(self, plan: LaunchPlan) -> dict[str, Any]:
        return {"tasks": [{"key": task.key, "argv": list(task.argv), "environ": task.environ} for task in plan.tasks]}

    def launch(self, plan: LaunchPlan) -> list[Handle]:
        self._answer()
        if not self.starts:
            raise LaunchRefused("The machine says no.")
        self.on_launch(plan)
        for task in plan.tasks:
            self.launches.append(task.key)
            self.statuses[task.key] = TaskStatus(liveness=Liveness.ALIVE)
        return [Handle(key=task.key, node=task.node, native={}) for task in plan.tasks]

    def observe(self, handles: Iterable[Handle]) -> dict[str, TaskStatus]:
        self._answer()
        absent = TaskStatus(liveness=Liveness.ABSENT)
        return {handle.key: self.statuses.get(handle.key, absent) for handle in handles}

    def stop(self, handle: Handle, *, grace_s: float) -> None:
        self.stops.append(handle.key)
        if self.obeys and self.statuses[handle.key].liveness is Liveness.ALIVE:
            self.end(handle.key, signal=15)

    def kill(self, handle: Handle) -> int:
        self.kills.append(handle.key)
        if self.observe([handle])[handle.key].liveness is not Liveness.ALIVE:
            return 0
        self.end(handle.key, signal=9)
        return 1

    def end(self, key: str, *, code: int | None = None, signal: int | None = None, ago_s: float = 60.0) -> None:
        """The task ends by itself, so long ago."""
        record = ExitRecord(code=code, signal=signal, ended_at=time.time() - ago_s)
        self.statuses[key] = TaskStatus(liveness=Liveness.EXITED, exit=record)

    def vanish(self, key: str) -> None:
        """The task dies without a word."""
        self.statuses[key] = TaskStatus(liveness=Liveness.DIED)

    def collect(self, handle: Handle) -> list[SpoolFile]:
        spool = self.spools.get(handle.key, {})
        return [SpoolFile(stream=name, path=Path(name), size_bytes=len(data)) for name, data in spool.items()]

    def read_spool(self, handle: Handle, stream: str, *, offset: int, size: int) -> bytes:
        return self.spools.get(handle.key, {}).get(stream, b"")[offset : offset + size]

    def outputs(self, handle: Handle) -> Iterable[OutputFile]:
        for path, data in self.produced.get(handle.key, {}).items():
            yield OutputFile(path=path, size_bytes=len(data), modified_at=1.0)

    def keep_output(self, handle: Handle, path: str, destination: Path) -> int:
        destination.parent.mkdir(parents=True, exist_ok=True)
        return destination.write_bytes(self.produced[handle.key][path])

    def cleanup(self, handle: Handle) -> None:
        self.cleaned.append(handle.key)

    def announce(self, handle: Handle, server_url: str) -> None:
        self._answer()

    def _answer(self) -> None:
        if not self.reachable:
            raise TargetUnreachable("connection refused")
