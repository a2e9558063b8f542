"""What every distribution answers."""

from dataclasses import dataclass
from typing import Protocol

from compute.plan import ResourceRequest, TaskRequest
from runs.spec import Problem, RunSpec

_DEFAULTS = RunSpec()


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One task of a run.

    ``ends_run``: the run goes on until it has ended; a task without it is a daemon, whose end the platform brings
    about, and which must not end before. ``leads``: once it has ended well, the others get a grace and no more.
    ``runs_script``: the person's script; else TensorFlow's standard server. ``listens``: the others reach it at an
    address and a port, which its TF_CONFIG names. ``takes_slot``: it trains, and so holds a GPU or a CPU slot.
    ``launches``: it runs ``mpirun``, which starts the scripts of all that are ``launched``.
    """

    name: str
    index: int
    ends_run: bool = True
    leads: bool = False
    runs_script: bool = True
    listens: bool = False
    takes_slot: bool = True
    launches: bool = False
    launched: bool = False

    @property
    def key(self) -> str:
        """Its name among the tasks of the run, such as ``worker-0``."""
        return f"{self.name}-{self.index}"


class Distribution(Protocol):
    """Pure: the same spec gives the same answers, and nothing is touched."""

    def problems(self, spec: RunSpec) -> list[Problem]:
        """What is wrong with the counts, each naming its field. The other questions are for a spec without any."""
        ...

    def request(self, spec: RunSpec) -> ResourceRequest:
        """The slots that the tasks need."""
        ...

    def roles(self, spec: RunSpec) -> tuple[Role, ...]:
        """The tasks, in launch order."""
        ...


def request_for(roles: tuple[Role, ...], spec: RunSpec) -> ResourceRequest:
    """One GPU for each of ``roles`` that trains, or one CPU slot; nothing for the others."""
    tasks = tuple(
        TaskRequest(
            role=role.name,
            index=role.index,
            gpus=int(spec.use_gpu and role.takes_slot),
            slots=int(role.takes_slot),
        )
        for role in roles
    )
    return ResourceRequest(tasks=tasks, node_count=spec.node_count)


def not_for(spec: RunSpec, **others: str) -> list[Problem]:
    """One problem for each field that is not at its default though only the distributions named have it:
    ``not_for(spec, worker_count="ps and multiworker")``."""
    return [
        Problem(
            field=name,
            message=f"{name} is {getattr(spec, name)}, which only {have} runs have. Leave it as it is, or choose "
            "another distribution.",
        )
        for name, have in others.items()
        if getattr(spec, name) not in (0, getattr(_DEFAULTS, name))
    ]
