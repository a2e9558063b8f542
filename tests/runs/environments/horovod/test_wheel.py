import subprocess
from pathlib import Path


def test_horovod_sums_up_over_one_process_beside_the_training_environments_tensorflow(horovod_python: Path) -> None:
    script = (
        "import tensorflow as tf, horovod.tensorflow as hvd; hvd.init(); print(float(hvd.allreduce(tf.constant(3.0))))"
    )
    done = subprocess.run([horovod_python, "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["3.0"], done.stderr
