"""One process on one node."""

from compute.plan import ResourceRequest
from runs.distribution.base import Role, not_for, request_for
from runs.spec import Problem, RunSpec


class Single:
    """The whole training in one task, the chief."""

    def problems(self, spec: RunSpec) -> list[Problem]:
        found = not_for(spec, worker_count="ps and multiworker", parameter_server_count="ps", coordinator="ps")
        if spec.node_count > 1 or spec.process_count_per_node > 1:
            found.append(
                Problem(
                    field="distributed_backend",
                    message=f"{spec.node_count} nodes with {spec.process_count_per_node} processes each need a "
                    "distributed_backend: one of mpi, ps, multiworker.",
                )
            )
        return found

    def request(self, spec: RunSpec) -> ResourceRequest:
        return request_for(self.roles(spec), spec)

    def roles(self, spec: RunSpec) -> tuple[Role, ...]:
        return (Role(name="chief", index=0, leads=True),)
