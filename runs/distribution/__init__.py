"""Which tasks a run has, as pure code: one module a distribution, found by the spec's ``distribution`` word."""

from runs.distribution.base import Distribution, Role
from runs.distribution.horovod import Horovod
from runs.distribution.multiworker import MultiWorker
from runs.distribution.parameter_server import ParameterServer
from runs.distribution.single import Single
from runs.spec import RunSpec

DISTRIBUTIONS: dict[str, Distribution] = {
    "single": Single(),
    "mpi": Horovod(),
    "ps": ParameterServer(),
    "multiworker": MultiWorker(),
}


def distribution_of(spec: RunSpec) -> Distribution | None:
    """The distribution of ``spec``; None where this version has none of that word."""
    return DISTRIBUTIONS.get(spec.distribution)


def roles_of(spec: RunSpec) -> tuple[Role, ...]:
    """The tasks of a spec without problems. Raises KeyError for a distribution that is none."""
    return DISTRIBUTIONS[spec.distribution].roles(spec)


__all__ = ["Distribution", "Role", "distribution_of", "roles_of"]
