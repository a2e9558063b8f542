"""Equal processes started by MPI, which average their gradients: Horovod.

``mpirun``, in a task of its own, starts ``process_count_per_node`` ranks on each of ``node_count`` nodes. Each rank is
a task with its own log, GPU and end. https://horovod.readthedocs.io/en/stable/mpi.html
"""

from compute.plan import ResourceRequest
from runs.distribution.base import Role, not_for, request_for
from runs.spec import Problem, RunSpec

LAUNCHER, RANK = "launcher", "rank"


class Horovod:
    """A launcher, and ranks in the order of the nodes."""

    def problems(self, spec: RunSpec) -> list[Problem]:
        return not_for(spec, worker_count="ps and multiworker", parameter_server_count="ps", coordinator="ps")

    def request(self, spec: RunSpec) -> ResourceRequest:
        return request_for(self.roles(spec), spec)

    def roles(self, spec: RunSpec) -> tuple[Role, ...]:
        launcher = Role(name=LAUNCHER, index=0, leads=True, takes_slot=False, launches=True)
        count = spec.node_count * spec.process_count_per_node
        return (launcher, *(Role(name=RANK, index=index, launched=True) for index in range(count)))
