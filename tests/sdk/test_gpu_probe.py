"""A script that wants a GPU is started only when TensorFlow sees one; otherwise the log says what was looked at."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from compute.plan import GPU_NOT_SEEN_CODE
from tests.sdk.task_folder import TaskFolder, wait_for

FAKE = """
import os
print("tensorflow talks while it is imported")
{first}
__version__ = "2.99.0"
class config:
    @staticmethod
    def list_physical_devices(kind):
        return [kind] * {count}
class sysconfig:
    @staticmethod
    def get_build_info():
        return {{"is_cuda_build": {cuda}, "cuda_version": "12.5", "cudnn_version": "9"}}
"""
SCRIPT = "import os, sys; print('pid', os.getpid(), sys.argv[1:], flush=True); raise SystemExit(7)"

Make = Callable[..., TaskFolder]


@pytest.fixture
def probed(make_task: Make, tmp_path: Path) -> Make:
    """A task with the probe whose TensorFlow is a fake: ``count`` GPUs, ``first`` a statement of its import."""

    def make(*, count: int = 1, cuda: bool = True, first: str = "", script: str = SCRIPT) -> TaskFolder:
        (tmp_path / "tensorflow.py").write_text(FAKE.format(count=count, cuda=cuda, first=first))
        environ = {"PYTHONPATH": str(tmp_path), "CUDA_VISIBLE_DEVICES": "0"}
        argv = [sys.executable, "train.py", "--name", "two words", "größe 🚂"]
        return make_task(script, argv=argv, environ=environ, gpu_probe=True)

    return make


def test_with_a_gpu_the_script_runs_as_if_nothing_had_been_before(probed: Make) -> None:
    task = probed()
    assert task.run()["code"] == 7
    text = task.output().decode()
    assert text.startswith("pid ")
    assert text.rstrip().endswith("['--name', 'two words', 'größe 🚂']")
    assert text.count("\n") == 1


def test_without_a_gpu_the_script_is_not_started_and_the_log_says_what_was_seen(probed: Make) -> None:
    task = probed(count=0)
    assert task.run()["code"] == GPU_NOT_SEEN_CODE
    text = task.output().decode()
    assert "pid" not in text
    assert "this run asks for a GPU and TensorFlow sees none, so the script is not started." in text
    assert "\n  Driver: " in text
    assert "\n  CUDA: " in text
    assert "(CUDA_VISIBLE_DEVICES): 0\n" in text
    assert text.endswith("TensorFlow: version 2.99.0, built for CUDA 12.5 and cuDNN 9, lists no GPU.\n")
    assert "tensorflow talks while it is imported" in text
    assert "The script was not started: TensorFlow sees no GPU." in task.words()


@pytest.mark.parametrize(
    ("fake", "words"),
    [
        ({"count": 0, "cuda": False}, "version 2.99.0 is a build without CUDA, which can use no GPU."),
        ({"first": "raise ImportError('libcudart is away')"}, "it could not be asked; the lines above say why."),
        ({"first": "os.kill(os.getpid(), 11)"}, "it was ended by signal SIGSEGV while it looked for GPUs."),
        ({"first": "os._exit(0)"}, "it could not be asked; the lines above say why."),
    ],
)
def test_whatever_keeps_tensorflow_from_a_gpu_is_said(probed: Make, fake: dict, words: str) -> None:
    task = probed(**fake)
    assert task.run()["code"] == GPU_NOT_SEEN_CODE
    assert words in task.output().decode()


def test_a_stop_while_tensorflow_is_asked_ends_the_task(probed: Make, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    task = probed(first=f"open({str(begun)!r}, 'w').close(); import time; time.sleep(60)")
    harness = task.harness_start()
    wait_for(begun.exists, what="TensorFlow is being asked")
    (task.root / "stop").write_text("5\n")
    assert harness.wait(20) == 0
    assert task.exit_record()["signal"] == signal.SIGTERM
    assert b"pid" not in task.output()


def test_a_file_of_the_source_does_not_answer_for_tensorflow(probed: Make) -> None:
    task = probed(count=0)
    (task.root / "work" / "tensorflow.py").write_text("raise SystemExit('asked the wrong one')")
    assert task.run()["code"] == GPU_NOT_SEEN_CODE
    assert b"wrong one" not in task.output()


def test_real_tensorflow_without_a_gpu_is_found_out(make_task: Make, training_python: Path, tmp_path: Path) -> None:
    environ = {"CUDA_VISIBLE_DEVICES": "", "HOME": str(tmp_path)}
    task = make_task(SCRIPT, argv=[str(training_python), "train.py"], environ=environ, gpu_probe=True)
    assert task.run(within_s=90)["code"] == GPU_NOT_SEEN_CODE
    text = task.output().decode()
    assert "TensorFlow: version 2." in text
    assert "is a build without CUDA" in text
    assert "CUDA_VISIBLE_DEVICES): none" in text
