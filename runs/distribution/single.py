"""One process on one node."""

from compute.plan import ResourceRequest, TaskRequest
from runs.distribution.base import Role
from runs.spec import RunSpec


class Single:
    """The whole training in one task, the chief."""

    def request(self, spec: RunSpec) -> ResourceRequest:
        return ResourceRequest(tasks=(TaskRequest(role="chief", index=0, gpus=1 if spec.use_gpu else 0),))

    def roles(self, spec: RunSpec) -> tuple[Role, ...]:
        return (Role(name="chief", index=0),)
