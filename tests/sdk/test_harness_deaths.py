"""Harness, guard or both die: the script never notices, nothing is started twice, nothing is lost or doubled."""

import errno
import os
import signal

import pytest

from tests.sdk.task_folder import wait_for

SLOW = (
    "import time\nfor i in range(40):\n    print(i, 'x' * 2000, flush=True)\n    time.sleep(0.05)\nraise SystemExit(7)"
)


def whole(lines=40):
    return b"".join(b"%d %s\n" % (number, b"x" * 2000) for number in range(lines))


def test_a_harness_killed_and_started_again_delivers_every_byte_once(server, make_task):
    task = make_task(SLOW)
    for _ in range(3):
        harness = task.harness_start()
        before = len(server.streams.get("output", b""))
        wait_for(lambda before=before: len(server.streams.get("output", b"")) > before, what="output")
        os.kill(harness.pid, signal.SIGKILL)
        harness.wait()
        assert task.is_locked("guard.lock")
    record = task.run()

    assert record["code"] == 7
    assert bytes(server.streams["output"]) == whole()
    assert server.is_complete()
    assert task.words().count("Watching again") == 3


def test_a_harness_killed_for_good_leaves_the_script_running_and_its_exit_on_record(server, make_task):
    task = make_task(SLOW)
    harness = task.harness_start()
    task.guard_pid()
    os.kill(harness.pid, signal.SIGKILL)
    harness.wait()

    wait_for((task.root / "exit.json").exists, what="the exit")
    assert task.exit_record()["code"] == 7
    assert task.output() == whole()


def test_a_harness_that_comes_after_the_end_brings_everything_home(server, make_task):
    task = make_task(SLOW)
    harness = task.harness_start()
    task.guard_pid()
    os.kill(harness.pid, signal.SIGKILL)
    harness.wait()
    wait_for(lambda: not task.is_locked("guard.lock"), what="the guard's end")
    task.run()

    assert bytes(server.streams["output"]) == whole()
    assert server.exits[-1]["code"] == 7


def test_two_harnesses_started_at_the_same_instant_start_one_script(server, make_task):
    task = make_task("import time\nopen('count', 'a').write('x')\ntime.sleep(1)")
    harnesses = [task.harness_start() for _ in range(6)]
    first_gone = wait_for(lambda: [one for one in harnesses if one.poll() is not None], what="the losers' end")

    assert task.is_locked("lock")
    assert all(one.returncode == 0 for one in first_gone)
    assert [one.wait(20) for one in harnesses] == [0] * 6
    assert (task.root / "work" / "count").read_text() == "x"
    assert server.is_complete()


def test_a_harness_for_a_task_that_is_done_ends_at_once(server, make_task):
    task = make_task("print('once')")
    task.run()
    frames = len(server.headers)
    task.run(within_s=5)

    assert len(server.headers) == frames
    assert bytes(server.streams["output"]) == b"once\n"


def test_a_guard_killed_under_its_harness_takes_the_task_with_it_and_says_so(server, make_task):
    task = make_task("import time\nprint('up', flush=True)\ntime.sleep(600)")
    harness = task.harness_start()
    wait_for(lambda: server.streams.get("output"), what="output")
    os.kill(task.guard_pid(), signal.SIGKILL)

    assert harness.wait(20) == 0
    assert server.exits[-1]["lost"] is True
    assert (server.exits[-1]["code"], server.exits[-1]["signal"]) == (None, 9)
    assert b"How the script ended is not known" in server.streams["harness"]


def test_what_survives_harness_and_guard_is_found_by_its_environment_and_ended(server, make_task):
    task = make_task("import time, os\nprint(os.getpid(), flush=True)\ntime.sleep(600)")
    harness = task.harness_start()
    wait_for(lambda: server.streams.get("output"), what="output")
    os.kill(harness.pid, signal.SIGKILL)
    harness.wait()
    os.kill(task.guard_pid(), signal.SIGKILL)
    wait_for(lambda: not task.is_locked("guard.lock"), what="the guard's end")
    script = int(task.output())
    assert os.path.exists(f"/proc/{script}")
    record = task.run()

    assert record["lost"] is True
    wait_for(lambda: _is_dead(script), what="the script's end")


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ('{"schema": 2}', "this harness understands schema 1"),
        ('{"schema": 1, "task": "x"}', "is not complete: KeyError('argv')"),
        ('{"schema": 1, "task": "x", "argv": [1], "environ": {}}', "is not complete: AttributeError"),
        ("[1]", "There is no readable task.json"),
        ("{torn", "There is no readable task.json"),
    ],
)
def test_a_folder_without_a_readable_task_is_refused_with_a_sentence(make_task, capfd, document, sentence):
    task = make_task()
    (task.root / "task.json").write_text(document)

    assert task.harness_start().wait(10) == 64
    assert sentence in capfd.readouterr().err


def _is_dead(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.needs("root")
def test_a_script_that_fills_the_disk_still_has_its_own_exit_on_record(server, make_task, small_disk):
    task = make_task(
        "try:\n    file = open('outputs/big', 'wb', buffering=0)\n    while True: file.write(b'x' * 100_000)\n"
        "except OSError as error:\n    raise SystemExit(error.errno)",
        root=small_disk,
    )
    record = task.run()

    assert record["code"] == errno.ENOSPC
    assert server.exits[-1]["code"] == errno.ENOSPC
