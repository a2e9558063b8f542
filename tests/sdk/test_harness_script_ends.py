"""However a script ends and whatever it prints: the exit is on record and every byte is with the server, once."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.sdk.task_folder import wait_for


@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_of_a_script_is_reported(server, make_task, code):
    record = make_task(f"print('hello'); raise SystemExit({code})").run()

    assert (record["code"], record["signal"], record["out_of_memory"]) == (code, None, False)
    assert record["started_at"] <= record["ended_at"] <= time.time()
    assert record["max_rss_bytes"] > 1_000_000
    assert server.exits[-1] == record
    assert bytes(server.streams["output"]) == b"hello\n"
    assert server.is_complete()


def test_a_traceback_arrives_and_the_exit_code_is_one(server, make_task):
    record = make_task("raise ValueError('no such luck')").run()

    assert record["code"] == 1
    assert b"ValueError: no such luck" in server.streams["output"]


def test_a_script_killed_by_a_signal_is_reported_with_it(server, make_task):
    record = make_task("import os; print('x', flush=True); os.kill(os.getpid(), 9)").run()

    assert (record["code"], record["signal"]) == (None, 9)
    assert bytes(server.streams["output"]) == b"x\n"
    assert b"ended by signal 9" in server.streams["harness"]


@pytest.mark.parametrize("command", ["/nowhere/python", "no-such-command-anywhere", "./not-executable"])
def test_a_command_that_cannot_be_started_exits_127_with_a_sentence(server, make_task, command):
    task = make_task(argv=[command, "train.py"])
    (task.root / "work" / "not-executable").write_text("text")
    record = task.run()

    assert (record["code"], record["signal"]) == (127, None)
    assert f"The command '{command}' could not be started".encode() in server.streams["harness"]
    assert bytes(server.streams["output"]) == b""


def test_stdout_and_stderr_keep_the_order_in_which_they_were_written(server, make_task):
    make_task("import sys\nfor i in range(200):\n    print(i, file=[sys.stdout, sys.stderr][i % 2], flush=True)").run()

    assert server.streams["output"].split() == [str(number).encode() for number in range(200)]


def test_a_script_that_closes_its_output_runs_to_its_end(server, make_task):
    record = make_task(
        "import os, time\nprint('before', flush=True)\nos.close(1); os.close(2)\ntime.sleep(0.5)\n"
        "open('outputs/after', 'w').close()\nos._exit(5)"
    ).run()

    assert record["code"] == 5
    assert bytes(server.streams["output"]) == b"before\n"
    assert [path for path, _, _ in server.outputs[-1]] == ["outputs/after"]


def test_nul_bytes_and_broken_utf8_arrive_byte_for_byte(server, make_task):
    make_task(r"import os; os.write(1, b'a\0b\xff\xfe\xc3(\xed\xa0\x80\r\x1b[31m' + bytes(range(256)))").run()

    assert bytes(server.streams["output"]) == b"a\0b\xff\xfe\xc3(\xed\xa0\x80\r\x1b[31m" + bytes(range(256))


def test_fifty_megabytes_without_a_newline_neither_slow_the_script_nor_get_lost(server, make_task):
    task = make_task(
        "import os\nfor i in range(50):\n    piece = bytes([65 + i % 26]) * 1_000_000\n"
        "    while piece:\n        piece = piece[os.write(1, piece):]"
    )
    record = task.run(within_s=60)

    assert record["ended_at"] - record["started_at"] < 10
    assert bytes(server.streams["output"]) == b"".join(bytes([65 + i % 26]) * 1_000_000 for i in range(50))


def test_arguments_and_environment_arrive_byte_for_byte(server, make_task):
    words = [
        "",
        " ",
        "a b",
        "it's",
        '"quoted"',
        "new\nline",
        "tab\t",
        "$HOME `id` $(id) ; | & > <",
        "*",
        "\\",
        "🚂 ünï",
        "-x",
    ]
    raw = os.fsdecode(b"\xff\xfe raw")
    script = (
        "import os, sys\nfor word in sys.argv[1:] + [os.environ['ODD']]:\n    os.write(1, os.fsencode(word) + b'\\0')"
    )
    task = make_task(
        script, argv=[sys.executable, "train.py", *words, raw], environ={"ODD": "🚂=\n'\"$x", "PYTHONUTF8": "1"}
    )
    task.run()

    expected = [os.fsencode(word) for word in [*words, raw, "🚂=\n'\"$x"]]
    assert server.streams["output"].split(b"\0")[:-1] == expected


def test_the_script_sees_exactly_the_environment_of_the_task(server, make_task, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "1")
    task = make_task(argv=["/usr/bin/env", "-0"], environ={"MINE": "1"})
    task.run()

    seen = dict(entry.split(b"=", 1) for entry in bytes(server.streams["output"]).split(b"\0")[:-1])
    assert set(seen) == {b"PATH", b"PYTHONUNBUFFERED", b"TRAINHOUSE_POINTS", b"TRAINHOUSE_UPLOADS", b"MINE"}


def test_the_script_starts_with_clean_hands(server, make_task):
    """Own session, no input, nothing inherited but the three standard descriptors, no signal ignored."""
    task = make_task(
        "import os, sys\n"
        "print(os.getsid(0) == os.getpid(), repr(sys.stdin.read()), sorted(os.listdir('/proc/self/fd'))[:4],\n"
        "      os.path.basename(os.getcwd()))\n"
        "print([line for line in open('/proc/self/status') if line.startswith(('SigBlk', 'SigIgn'))])"
    )
    task.run()

    first, second = bytes(server.streams["output"]).decode().splitlines()
    assert first == "True '' ['0', '1', '2', '3'] work"  # 3 is the listing itself
    ignored = int(second.split("SigIgn:\\t")[1][:16], 16)
    assert int(second.split("SigBlk:\\t")[1][:16], 16) == 0
    assert ignored & (1 << signal.SIGTERM - 1 | 1 << signal.SIGINT - 1 | 1 << signal.SIGHUP - 1) == 0


@pytest.mark.parametrize("start_new_session", [False, True])
def test_children_left_behind_are_ended_wherever_they_went(server, make_task, start_new_session):
    task = make_task(
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],\n"
        f"                        start_new_session={start_new_session})\n"
        "print(child.pid, flush=True)\nraise SystemExit(4)"
    )
    record = task.run()

    assert record["code"] == 4
    assert not Path(f"/proc/{int(server.streams['output'])}").exists()
    assert b"left 1 process(es) behind" in server.streams["harness"]


def test_children_that_ignore_sigterm_are_killed_and_what_they_print_last_is_kept(server, make_task):
    task = make_task(
        "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-uc', '''\n"
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('asked'))\n"
        "print('ready')\n"
        "while True: time.sleep(0.05)\n"
        "'''], start_new_session=True)\n"
        "import time\n"
        "while b'ready' not in open('../spool/output', 'rb').read(): time.sleep(0.02)\n"
    )
    harness = task.harness_start()
    wait_for((task.root / "exit.json").exists, what="the exit")

    assert task.is_locked("guard.lock")
    assert harness.wait(20) == 0
    assert bytes(server.streams["output"]) == b"ready\nasked\n"
    assert not task.is_locked("guard.lock")
