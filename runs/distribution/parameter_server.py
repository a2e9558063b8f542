"""Workers that train, and servers that keep the variables.

Two forms. With ``coordinator`` (TensorFlow 2's ParameterServerStrategy) a chief runs the script and hands out the work;
workers and servers run TensorFlow's standard server. Without it the workers and the servers all run the script, which
reads TF_CONFIG and starts its own server (ClusterSpec, tf.compat.v1).
https://www.tensorflow.org/tutorials/distribute/parameter_server_training
"""

from compute.plan import ResourceRequest
from runs.distribution.base import Role, not_for, request_for
from runs.spec import Problem, RunSpec

#: Servers hold no slot, so the target's size does not bound them: so many are always allowed, and two for each worker.
_SERVERS_ALLOWED = 16


class ParameterServer:
    """``worker_count`` workers and ``parameter_server_count`` servers in all, laid over ``node_count`` nodes."""

    def problems(self, spec: RunSpec) -> list[Problem]:
        found = not_for(spec, process_count_per_node="mpi")
        if spec.parameter_server_count == 0:
            found.append(
                Problem(
                    field="parameter_server_count",
                    message="parameter_server_count is 0; a parameter server run needs at least 1. "
                    "Without servers, choose multiworker.",
                )
            )
        most = max(_SERVERS_ALLOWED, 2 * spec.worker_count)
        if spec.parameter_server_count > most:
            found.append(
                Problem(
                    field="parameter_server_count",
                    message=f"parameter_server_count is {spec.parameter_server_count:,}; a run with worker_count "
                    f"{spec.worker_count:,} may have at most {most:,}. Lower it or raise worker_count.",
                )
            )
        tasks = spec.worker_count + spec.parameter_server_count + int(spec.coordinator)
        if spec.node_count > tasks:
            found.append(
                Problem(
                    field="node_count",
                    message=f"node_count is {spec.node_count}, and the run has {tasks} tasks: some nodes would stand "
                    "idle. Lower node_count or raise worker_count.",
                )
            )
        return found

    def request(self, spec: RunSpec) -> ResourceRequest:
        return request_for(self.roles(spec), spec)

    def roles(self, spec: RunSpec) -> tuple[Role, ...]:
        coordinated = spec.coordinator
        chief = (Role(name="chief", index=0, leads=True, listens=True, takes_slot=False),) if coordinated else ()
        workers = (
            Role(
                name="worker",
                index=index,
                ends_run=not coordinated,
                leads=not coordinated and index == 0,
                runs_script=not coordinated,
                listens=True,
            )
            for index in range(spec.worker_count)
        )
        servers = (
            Role(name="ps", index=index, ends_run=False, runs_script=not coordinated, listens=True, takes_slot=False)
            for index in range(spec.parameter_server_count)
        )
        return (*chief, *workers, *servers)
