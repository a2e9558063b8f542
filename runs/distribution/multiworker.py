"""Equal workers that exchange their gradients themselves: MultiWorkerMirroredStrategy.

TF_CONFIG names workers only; worker 0 is the one that saves.
https://www.tensorflow.org/tutorials/distribute/multi_worker_with_keras
"""

from compute.plan import ResourceRequest
from runs.distribution.base import Role, not_for, request_for
from runs.spec import Problem, RunSpec


class MultiWorker:
    """``worker_count`` workers, laid over ``node_count`` nodes."""

    def problems(self, spec: RunSpec) -> list[Problem]:
        found = not_for(spec, process_count_per_node="mpi", parameter_server_count="ps", coordinator="ps")
        if spec.node_count > spec.worker_count:
            found.append(
                Problem(
                    field="worker_count",
                    message=f"worker_count is {spec.worker_count} on {spec.node_count} nodes: a node without a worker "
                    "would stand idle. Raise worker_count or lower node_count.",
                )
            )
        return found

    def request(self, spec: RunSpec) -> ResourceRequest:
        return request_for(self.roles(spec), spec)

    def roles(self, spec: RunSpec) -> tuple[Role, ...]:
        return tuple(
            Role(name="worker", index=index, leads=index == 0, listens=True) for index in range(spec.worker_count)
        )
