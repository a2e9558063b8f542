"""Ranks under a real mpirun: each a task of its own, which ends with the others and leaves nothing behind."""

import json
import os
import shutil
import signal
import sys

import pytest

from tests.sdk.task_folder import wait_for

#: A program of MPI without a compiler or a package: Open MPI's library by its functions.
SUM = """
import ctypes, json, os, signal, sys, time
mpi = ctypes.CDLL("libmpi.so.40", mode=ctypes.RTLD_GLOBAL)
def known(name):
    return ctypes.c_void_p(ctypes.addressof(ctypes.c_char.in_dll(mpi, name)))
mpi.MPI_Init(None, None)
mine, total, rank = ctypes.c_double(), ctypes.c_double(), ctypes.c_int()
mpi.MPI_Comm_rank(known("ompi_mpi_comm_world"), ctypes.byref(rank))
mine.value = rank.value + 1.0
mpi.MPI_Allreduce(ctypes.byref(mine), ctypes.byref(total), 1, known("ompi_mpi_double"), known("ompi_mpi_op_sum"),
                  known("ompi_mpi_comm_world"))
print(json.dumps([rank.value, total.value, sys.argv[1:], os.environ["MINE"]]), flush=True)
"""
DONE = "mpi.MPI_Finalize()\n"


@pytest.fixture
def world(make_task, tmp_path, needs):
    """``world(script, count)``: a launcher and its ranks, laid out and started as a backend does it."""
    needs(shutil.which("mpirun"), "mpirun (Debian's package openmpi-bin)")

    def make(script, count=2):
        ranks = [
            make_task(
                script,
                server_url="",
                task=f"rank-{number}",
                is_rank=True,
                argv=[sys.executable, "-u", "train.py", "--word", "two words"],
                environ={"MINE": str(number)},
            )
            for number in range(count)
        ]
        launcher = make_task("", server_url="", task="launcher", ranks=[str(rank.root) for rank in ranks])
        for task in (*ranks, launcher):
            task.harness_start()
        return launcher, ranks

    return make


def ended(task):
    path = task.root / "exit.json"
    wait_for(lambda: path.exists() and not task.is_locked("guard.lock"), within_s=30, what=f"the end of {task.root}")
    return task.exit_record()


def test_ranks_find_each_other_and_each_has_its_own_output_variables_and_arguments(world):
    launcher, ranks = world(SUM + DONE, 3)
    assert ended(launcher)["code"] == 0, launcher.output()
    assert [ended(rank)["code"] for rank in ranks] == [0, 0, 0]
    said = [json.loads(rank.output()) for rank in ranks]
    assert said == [[number, 6.0, ["--word", "two words"], str(number)] for number in range(3)]
    assert b"[0, 6.0" not in launcher.output()


def test_a_rank_that_fails_ends_the_others_and_its_code_is_the_launchers(world):
    launcher, ranks = world(SUM + "if rank.value == 1:\n    sys.exit(3)\ntime.sleep(3600)\n")
    assert ended(launcher)["code"] == 3
    assert ended(ranks[1])["code"] == 3
    other = ended(ranks[0])
    assert other["signal"] in (signal.SIGTERM, signal.SIGKILL)
    assert other["ended_at"] > ended(ranks[1])["ended_at"]
    assert "mpirun has ended this rank" in ranks[0].words() or "Asked to stop" in ranks[0].words()


def test_a_rank_that_is_killed_ends_the_others_within_seconds(world):
    launcher, ranks = world(SUM + "time.sleep(3600)\n")
    wait_for(lambda: all((rank.root / "spool" / "output").exists() and rank.output() for rank in ranks))
    for folder in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{folder}/environ", "rb") as file:
                words = file.read().split(b"\0")
            if b"MINE=1" in words and b"OMPI_COMM_WORLD_RANK=1" in words:
                os.kill(int(folder), signal.SIGKILL)
        except OSError:
            continue
    assert ended(ranks[1])["signal"] == signal.SIGKILL
    assert ended(ranks[0])["signal"] in (signal.SIGTERM, signal.SIGKILL)
    record = ended(launcher)
    assert record["code"] not in (0, None) or record["signal"]


def test_a_killed_mpirun_takes_its_ranks_with_it(world):
    launcher, ranks = world(SUM + "time.sleep(3600)\n")
    wait_for(lambda: all((rank.root / "spool" / "output").exists() and rank.output() for rank in ranks))
    for folder in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{folder}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if words[0] == b"mpirun" and os.fsencode(launcher.root) in words:
            os.kill(int(folder), signal.SIGKILL)
    assert ended(launcher)["signal"] == signal.SIGKILL
    for rank in ranks:
        record = ended(rank)
        assert record["code"] or record["signal"]


def test_a_rank_asked_to_stop_before_mpirun_comes_never_starts_its_script(make_task):
    rank = make_task("print('started')", server_url="", is_rank=True)
    rank.harness_start()
    wait_for(lambda: rank.is_locked("guard.lock"))
    (rank.root / "stop").write_text("1\n")
    assert ended(rank)["signal"] == signal.SIGTERM
    assert not (rank.root / "started").exists()
    assert "not started" in rank.words()


def test_a_machine_without_mpirun_says_so_in_the_exit(make_task, tmp_path):
    launcher = make_task("", server_url="", ranks=[str(tmp_path)], environ={"PATH": str(tmp_path)})
    launcher.harness_start()
    record = ended(launcher)
    assert record["code"] == 127
    assert record["why"].startswith("There is no mpirun on this machine, so no rank was started.")
