"""The hook that a ``.pth`` file installs in every Python of an environment."""

import os
import subprocess
import sys
from pathlib import Path

from tests.sdk.horovod.ranks import MPIRUN

SDK = Path(__file__).resolve().parents[3] / "sdk"

TRAIN = """
import sys
sys.meta_path = [each for each in sys.meta_path if "trainhouse" not in type(each).__module__]
import horovod.tensorflow.keras as hvd, keras, numpy as np
hvd.init()
weight = keras.Variable(np.zeros(1, "float32"))
optimizer = hvd.DistributedOptimizer(keras.optimizers.SGD(1.0))
optimizer.apply_gradients([(np.ones(1, "float32") * (hvd.rank() + 1), weight)])
sys.stdout.write(f"weight {float(weight.numpy()[0])}\\n")
"""


def test_a_plain_interpreter_gets_the_hook_alone(horovod_python: Path) -> None:
    script = "import sys; print(*sorted(name for name in sys.modules if name.startswith(('trainhouse', 'tensorflow'))))"
    done = subprocess.run([horovod_python, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["trainhouse_horovod", "trainhouse_horovod.hook"]


def test_a_python_without_horovod_is_not_hurt(tmp_path: Path) -> None:
    script = """
import importlib.util, trainhouse_horovod.hook as hook, sys
hook.install(); hook.install()
assert sum(isinstance(each, hook.HorovodFinder) for each in sys.meta_path) == 1
try:
    import horovod.tensorflow
except ModuleNotFoundError as error:
    print(error)
"""
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(SDK)!r})\n{script}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "No module named 'horovod'\n"


def test_an_unmended_module_keeps_its_own_loader(tmp_path: Path) -> None:
    package = tmp_path / "horovod"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "_keras.py").write_text("here = True")
    script = f"""
import sys, types
sys.path[:0] = [{str(SDK)!r}, {str(tmp_path)!r}]
import trainhouse_horovod.hook as hook
hook.install()
tensorflow = sys.modules["tensorflow"] = types.ModuleType("tensorflow")
tensorflow.__version__ = "2.15.1"
import horovod._keras as module
print(module.here, type(module.__loader__).__name__, type(module.__spec__.loader).__name__)
"""
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "SourceFileLoader", "SourceFileLoader"]


def test_without_the_hook_horovod_trains_without_averaging_and_without_an_error(horovod_python: Path) -> None:
    """What the checks of two ranks would not find out if stock Horovod averaged."""
    done = subprocess.run(
        [*MPIRUN, str(horovod_python), "-c", TRAIN],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    weights = sorted(line for line in done.stdout.splitlines() if line.startswith("weight"))
    assert weights == ["weight -1.0", "weight -2.0"]
