"""One real environment with Horovod: resolved, installed from the index, tried, sealed. Its wheel is the one that the
tests compile once."""

import subprocess
from pathlib import Path

from compute.backends.base import ComputeBackend
from compute.models import ComputeTarget
from runs.environments import environment_build, environment_ref, environment_request
from runs.environments.horovod.store import wheel_store
from runs.environments.lock import lock_horovod, lock_packages
from runs.spec import RunSpec
from runs.states import EnvironmentState
from tests.horovod import horovod_wheel, training_key


def test_an_mpi_run_gets_horovod_that_works(
    target: ComputeTarget, backend: ComputeBackend, training_python: Path, horovod_python: Path, build_log
) -> None:
    key, wheel = training_key(training_python), horovod_wheel(training_python)
    wheel_store().keep(key, wheel.path.name, wheel.path.read_bytes())
    version = key.tensorflow.partition("==")[2]
    environment = environment_request(RunSpec(distributed_backend="mpi", framework_version=version), target, backend)
    built = environment_build(environment.pk)
    said = build_log(built)
    assert (built.state, built.error) == (EnvironmentState.READY, ""), said
    assert "the wheel that was compiled before" in said
    assert f"Horovod works: TensorFlow {version}, MPI" in said
    locked = lock_horovod(built.lock)
    assert (locked["version"], locked["tensorflow"], locked["mpi"]) == ("0.28.1", version, key.mpi)
    assert locked["wheel"] == wheel.sha256
    assert {"cloudpickle", "psutil", "pyyaml"} <= {line.split("==")[0] for line in lock_packages(built.lock)}
    script = "import horovod.tensorflow.keras, trainhouse_horovod; print('here')"
    done = subprocess.run([environment_ref(built).python, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "here", done.stderr
    assert not list(Path(built.path).glob("lib/python3*/site-packages/pip-*"))
