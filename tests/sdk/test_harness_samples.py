"""What a task uses is sampled from /proc and from the GPU driver's own library."""

import ctypes
import os

import pytest

from tests.sdk.task_folder import wait_for
from trainhouse.harness.gpu import Gpus
from trainhouse.harness.processes import descendants, process_table


def values(server, name):
    return [value for line in server.lines("samples") for sampled, _, _, value in line["p"] if sampled == name]


def test_processor_memory_and_processes_of_the_whole_tree_are_sampled(server, make_task):
    task = make_task(
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'while True: pass'], start_new_session=True)\n"
        "held = b'x' * 100_000_000\ntime.sleep(4.5)\nchild.kill()"
    )
    task.run()

    assert max(values(server, "cpu_percent")) > 25
    assert 100 < max(values(server, "memory_mb")) < 400
    assert max(values(server, "processes")) == 2
    assert {line["k"] for line in server.lines("samples")} == {"points"}
    assert not any("gpu" in name for line in server.lines("samples") for name, *_ in line["p"])


def test_a_harness_that_came_later_samples_the_script_it_found(server, make_task):
    task = make_task("import time\ntime.sleep(600)")
    first = task.harness_start()
    task.guard_pid()
    os.kill(first.pid, 9)
    first.wait()
    task.harness_start()

    wait_for(lambda: values(server, "processes"), what="a sample")
    assert values(server, "processes")[0] == 1


def test_commands_with_parentheses_and_spaces_do_not_confuse_the_process_table(tmp_path, make_task, server):
    odd = tmp_path / "a) R 1 (b c"
    odd.symlink_to("/bin/sleep")
    task = make_task(argv=[str(odd), "600"])
    task.harness_start()
    guard = task.guard_pid()
    wait_for(lambda: descendants(guard), what="the script")

    assert [process.parent for process in descendants(guard)] == [guard]
    assert process_table()[os.getpid()].parent == os.getppid()


class Driver:
    """As much of NVML as is used, for two GPUs; ``silent`` functions answer NOT_SUPPORTED."""

    def __init__(self, silent=()):
        self.silent = silent

    def nvmlInit_v2(self):
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index, device):
        if index.value > 1:
            return 2
        device._obj.value = 100 + index.value
        return 0

    def nvmlDeviceGetUtilizationRates(self, device, utilization):
        utilization._obj.gpu = device.value - 60
        return 0

    def nvmlDeviceGetMemoryInfo(self, device, memory):
        memory._obj.used = device.value << 20
        return 0

    def nvmlDeviceGetPowerUsage(self, device, milliwatts):
        if "power" in self.silent:
            return 3
        ctypes.cast(milliwatts, ctypes.POINTER(ctypes.c_uint))[0] = 250_500
        return 0


def test_only_the_gpus_of_the_task_are_sampled():
    assert Gpus([1, 7], load=lambda name: Driver()).sample() == [
        ("gpu1_percent", 41),
        ("gpu1_memory_mb", 101.0),
        ("gpu1_power_w", 250.5),
    ]


def test_what_a_gpu_does_not_tell_is_left_out():
    assert [name for name, _ in Gpus([0], load=lambda name: Driver(silent=("power",))).sample()] == [
        "gpu0_percent",
        "gpu0_memory_mb",
    ]


def test_a_machine_without_the_driver_has_no_gpu_samples():
    def absent(name):
        raise OSError(name)

    assert Gpus([0], load=absent).sample() == []


def test_a_task_without_gpus_never_loads_the_driver():
    assert Gpus([], load=lambda name: pytest.fail("loaded")).sample() == []
