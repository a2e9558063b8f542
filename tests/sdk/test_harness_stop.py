"""Ending a task: asked first, made to after the grace, and nothing of it stays behind."""

import os
import signal
import time

from tests.sdk.task_folder import wait_for

SPAWNING = (
    "import signal, subprocess, sys, time\n"
    "{}\n"
    "child = subprocess.Popen([sys.executable, '-uc', 'import signal, time\\n"
    'signal.signal(signal.SIGTERM, signal.SIG_IGN)\\nprint("child")\\ntime.sleep(600)\'], start_new_session=True)\n'
    "print(child.pid, flush=True)\n"
    "while True: time.sleep(0.1)\n"
)


def test_a_script_that_handles_sigterm_ends_in_its_own_way(server, make_task):
    task = make_task(
        "import signal, sys, time\n"
        "def bye(*_):\n    print('saving', flush=True)\n    time.sleep(0.3)\n    sys.exit(9)\n"
        "signal.signal(signal.SIGTERM, bye)\nprint('up', flush=True)\ntime.sleep(600)"
    )
    harness = task.harness_start()
    wait_for(lambda: b"up" in server.streams.get("output", b""), what="output")
    (task.root / "stop").write_text("10\n")

    assert harness.wait(10) == 0
    assert server.exits[-1]["code"] == 9
    assert bytes(server.streams["output"]) == b"up\nsaving\n"


def test_a_script_that_ignores_sigterm_is_killed_after_the_grace_with_all_its_children(server, make_task):
    task = make_task(SPAWNING.format("signal.signal(signal.SIGTERM, signal.SIG_IGN)"))
    harness = task.harness_start()
    wait_for(lambda: bytes(server.streams.get("output", b"")).count(b"\n") == 2, what="two lines")
    child = next(int(word) for word in server.streams["output"].split() if word.isdigit())
    asked_at = time.monotonic()
    (task.root / "stop").write_text("1\n")

    assert harness.wait(15) == 0
    assert 1 <= time.monotonic() - asked_at < 8
    assert server.exits[-1]["signal"] == signal.SIGKILL
    assert server.exits[-1]["out_of_memory"] is False
    assert not os.path.exists(f"/proc/{child}")
    assert b"SIGKILL after 1 s" in server.streams["harness"]


def test_sigterm_to_the_harness_is_passed_on(server, make_task):
    task = make_task("import time\nprint('up', flush=True)\ntime.sleep(600)", grace_s=5)
    harness = task.harness_start()
    wait_for(lambda: server.streams.get("output"), what="output")
    harness.send_signal(signal.SIGTERM)

    assert harness.wait(15) == 0
    assert server.exits[-1]["signal"] == signal.SIGTERM


def test_a_harness_killed_within_the_grace_is_continued_without_asking_twice(server, make_task):
    task = make_task(
        "import signal, time\nsignal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))\n"
        "print('up', flush=True)\nwhile True: time.sleep(0.1)"
    )
    harness = task.harness_start()
    wait_for(lambda: server.streams.get("output"), what="output")
    (task.root / "stop").write_text("3\n")
    wait_for(lambda: b"asked" in task.output(), what="SIGTERM")
    os.kill(harness.pid, signal.SIGKILL)
    harness.wait()

    record = task.run(within_s=15)
    assert record["signal"] == signal.SIGKILL
    assert bytes(server.streams["output"]) == b"up\nasked\n"


def test_a_task_asked_to_stop_before_its_start_never_starts(server, make_task):
    task = make_task("open('started', 'w')")
    (task.root / "stop").write_text("5\n")
    record = task.run()

    assert (record["code"], record["signal"]) == (None, signal.SIGTERM)
    assert not (task.root / "work" / "started").exists()
    assert server.is_complete()
    assert b"it is not started" in server.streams["harness"]


def test_words_that_are_no_number_in_the_stop_file_mean_the_tasks_own_grace(server, make_task):
    task = make_task(SPAWNING.format("signal.signal(signal.SIGTERM, signal.SIG_IGN)"), grace_s=0.5)
    harness = task.harness_start()
    wait_for(lambda: bytes(server.streams.get("output", b"")).count(b"\n") == 2, what="two lines")
    (task.root / "stop").write_text("soon\n")

    assert harness.wait(10) == 0
    assert server.exits[-1]["signal"] == signal.SIGKILL
