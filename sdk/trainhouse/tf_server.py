"""TensorFlow's standard server, for the workers and parameter servers that a coordinator gives work to:
``python -m trainhouse.tf_server``.

TF_CONFIG says which server this is. It serves until it is told to end (SIGTERM), which is its only good end: code 0.
"""

import importlib
import json
import os
import signal
import sys
import time

_CANNOT_SERVE = 1
_MISTAKEN = 2


def main():
    """Serves for ever; returns an exit code only when that cannot be."""
    # The server knows no clean way to stop (tensorflow/core/distributed_runtime/rpc/grpc_server_lib.cc), so the process
    # is ended under it.
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))
    # A worker that has gone is told to the coordinator at once instead of waited for (TensorFlow's guide to
    # ParameterServerStrategy).
    os.environ.setdefault("GRPC_FAIL_FAST", "use_caller")
    try:
        cluster, role, index = _told(os.environ.get("TF_CONFIG", ""))
    except ValueError as error:
        sys.stderr.write("Trainhouse: {}\n".format(error))
        return _MISTAKEN
    tensorflow = importlib.import_module("tensorflow")
    config = tensorflow.compat.v1.ConfigProto()
    # Every worker may wait on every other: with fewer threads than workers they would wait for ever (same guide).
    config.inter_op_parallelism_threads = max(os.cpu_count() or 1, len(cluster.get("worker", ())) + 1)
    try:
        server = tensorflow.distribute.Server(
            tensorflow.train.ClusterSpec(cluster), job_name=role, task_index=index, protocol="grpc", config=config
        )
    except tensorflow.errors.OpError as error:
        sys.stderr.write("Trainhouse: {} {} cannot serve at {}: {}\n".format(role, index, cluster[role][index], error))
        return _CANNOT_SERVE
    print("Trainhouse: {} {} serves at {}.".format(role, index, server.target), flush=True)
    while True:  # server.join() would not let the signal be heard
        time.sleep(1.0)


def _told(text):
    """The cluster, this server's role and its index, as TF_CONFIG has them. Raises ValueError, in a sentence."""
    try:
        told = json.loads(text)
        cluster, role, index = told["cluster"], told["task"]["type"], int(told["task"]["index"])
        if index not in range(len(cluster[role])):
            raise IndexError(index)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ValueError(
            "TF_CONFIG is {!r}, which does not say which server of which cluster this is.".format(text[:200])
        ) from error
    return cluster, role, index


if __name__ == "__main__":
    sys.exit(main())
