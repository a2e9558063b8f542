"""TensorFlow's standard server under the harness: it gets the port that was kept for it, serves a coordinator, and ends
well when it is told to."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sdk.meeting_hall import make_hall
from tests.sdk.task_folder import wait_for

__all__ = ["make_hall"]

SDK = Path(__file__).parents[2] / "sdk"
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(SDK)}

COORDINATOR = """
import tensorflow as tf
resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
strategy = tf.distribute.ParameterServerStrategy(resolver)
coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
with strategy.scope():
    total = tf.Variable(0.0)
    print("kept by", total.device, flush=True)

@tf.function
def add():
    total.assign_add(1.0)

for _ in range(20):
    coordinator.schedule(add)
coordinator.join()
print("total", total.read_value().numpy(), flush=True)
"""


def server_fields(python, **environ):
    return {"argv": [str(python), "-m", "trainhouse.tf_server"], "environ": {**QUIET, **environ}}


def test_servers_on_kept_ports_do_a_coordinators_work_and_end_well_when_told_to(make_hall, training_python):
    hall = make_hall(
        chief_0={"script": COORDINATOR, "argv": [str(training_python), "train.py"], "environ": QUIET},
        worker_0=server_fields(training_python),
        worker_1=server_fields(training_python),
        ps_0=server_fields(training_python),
    )
    harnesses = {member: task.harness_start() for member, task in hall.tasks.items()}
    assert harnesses["chief-0"].wait(180) == 0

    said = hall.tasks["chief-0"].output().decode()
    assert hall.servers["chief-0"].exits[-1]["code"] == 0, said
    assert "kept by /job:ps/replica:0/task:0" in said
    assert "total 20.0" in said
    for member in ("worker-0", "worker-1", "ps-0"):
        assert harnesses[member].poll() is None
        (hall.tasks[member].root / "stop").write_text("15\n")
    for member in ("worker-0", "worker-1", "ps-0"):
        assert harnesses[member].wait(30) == 0
        assert hall.servers[member].exits[-1]["code"] == 0, hall.tasks[member].output().decode()
        served = f"serves at grpc://127.0.0.1:{hall.port(member)}."
        assert served in hall.tasks[member].output().decode()


def test_a_server_whose_port_a_stranger_took_says_so_and_so_does_its_exit(make_hall, training_python):
    hall = make_hall(worker_0=server_fields(training_python))
    task = hall.tasks["worker-0"]
    harness = task.harness_start()
    wait_for((task.root / "started").exists, what="the script")
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("0.0.0.0", hall.port("worker-0")))
        stranger.listen()
        assert harness.wait(120) == 0

    assert f"worker 0 cannot serve at 127.0.0.1:{hall.port('worker-0')}" in task.output().decode()
    record = hall.servers["worker-0"].exits[-1]
    assert (record["code"], record["port_taken"]) == (1, True)


def test_a_server_told_to_end_while_tensorflow_still_loads_ends_well(tmp_path):
    (tmp_path / "tensorflow.py").write_text("print('loading', flush=True)\nimport time\ntime.sleep(60)")
    environ = {
        **os.environ,
        "PYTHONPATH": f"{SDK}{os.pathsep}{tmp_path}",
        "TF_CONFIG": '{"cluster": {"ps": ["127.0.0.1:1"]}, "task": {"type": "ps", "index": 0}}',
    }
    with subprocess.Popen(
        [sys.executable, "-m", "trainhouse.tf_server"], env=environ, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout.readline() == "loading\n"
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0


@pytest.mark.parametrize(
    "config",
    [
        "",
        "x",
        "[]",
        "{}",
        '{"cluster": {"ps": []}, "task": {"type": "ps", "index": 0}}',
        '{"cluster": {"ps": ["a:1"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 1}}',
        '{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": -1}}',
        '{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": null}}',
    ],
)
def test_a_tf_config_that_names_no_server_is_refused_with_a_sentence(config):
    environ = {**os.environ, "PYTHONPATH": str(SDK), "TF_CONFIG": config}
    done = subprocess.run(
        [sys.executable, "-m", "trainhouse.tf_server"], env=environ, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2
    assert (
        done.stderr
        == f"Trainhouse: TF_CONFIG is {config!r}, which does not say which server of which cluster this is.\n"
    )
