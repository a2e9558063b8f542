"""The server goes away, moves, refuses and asks: the script never waits for it."""

import os
import signal
import time

import pytest

from tests.sdk.ingest_server import IngestServer
from tests.sdk.task_folder import TaskFolder, wait_for
from trainhouse.harness import ship
from trainhouse.harness.spool import Spool
from trainhouse.harness.task import task_read
from trainhouse.harness.words import Words

TICKING = "import time\nfor i in range({}):\n    print(i, flush=True)\n    time.sleep(0.05)"


def numbers(count):
    return b"".join(b"%d\n" % number for number in range(count))


def test_a_server_that_comes_back_at_another_address_gets_every_byte_once(make_task):
    first = IngestServer().start()
    task = make_task(TICKING.format(60), server_url=first.url)
    harness = task.harness_start()
    wait_for(lambda: len(first.streams.get("output", b"")) > 10, what="output")
    first.close()
    wait_for((task.root / "exit.json").exists, what="the script's end, nobody listening")
    assert harness.poll() is None

    with IngestServer() as second:
        second.streams = first.streams
        task.announce(second.url)
        assert harness.wait(10) == 0
        assert bytes(second.streams["output"]) == numbers(60)
        assert second.problems == []
    assert "does not answer" in task.words()
    assert "is back after" in task.words()


def test_no_server_at_all_holds_up_nothing_but_the_delivery(make_task):
    task = make_task(TICKING.format(5), server_url="http://127.0.0.1:9")
    harness = task.harness_start()
    wait_for((task.root / "exit.json").exists, what="the exit")

    assert task.output() == numbers(5)
    assert harness.poll() is None
    with IngestServer() as server:
        task.announce(server.url)
        assert harness.wait(10) == 0
        assert bytes(server.streams["output"]) == numbers(5)


@pytest.mark.parametrize("address", ["", "nonsense", "ftp://127.0.0.1/", "http://127.0.0.1:port/"])
def test_an_address_that_is_none_is_waited_out(server, make_task, address):
    task = make_task("print('x')", server_url=address)
    harness = task.harness_start()
    wait_for(lambda: "Everything is kept here" in task.words(), what="a sentence about the address")
    task.announce(server.url)

    assert harness.wait(10) == 0
    assert bytes(server.streams["output"]) == b"x\n"


def test_an_error_of_the_server_is_waited_out(server, make_task):
    server.refuse_with = 503
    task = make_task("print('x')")
    harness = task.harness_start()
    wait_for(lambda: "answers 503: Refused for a test." in task.words(), what="a sentence about the answer")
    server.refuse_with = None

    assert harness.wait(10) == 0
    assert bytes(server.streams["output"]) == b"x\n"


def test_a_refused_token_is_tried_again_slowly(make_task):
    with IngestServer(token="1.other") as server:
        task = make_task("print('x')", server_url=server.url)
        harness = task.harness_start()
        wait_for(lambda: "answers 401" in task.words(), what="a sentence about the token")
        time.sleep(1.5)
        assert harness.poll() is None
        assert server.headers == []

        (task.root / "token").write_text("1.other\n")
        task.announce(server.url)  # a new address ends the wait, and the token is read again
        assert harness.wait(10) == 0
        assert bytes(server.streams["output"]) == b"x\n"


def test_a_task_that_the_server_has_closed_goes_on_to_its_end_without_shipping(server, make_task):
    server.refuse_with = 410
    task = make_task(TICKING.format(20))
    harness = task.harness_start()
    wait_for((task.root / "done").exists, what="the mark that nothing more is wanted")

    assert harness.poll() is None
    assert harness.wait(20) == 0
    assert task.output() == numbers(20)
    assert task.exit_record()["code"] == 0


def test_a_server_that_lost_the_end_of_a_stream_gets_it_again(server, make_task):
    task = make_task(TICKING.format(30))
    harness = task.harness_start()
    wait_for(lambda: len(server.streams.get("output", b"")) > 20, what="output")
    with server._lock:
        del server.streams["output"][7:]

    assert harness.wait(20) == 0
    assert bytes(server.streams["output"]) == numbers(30)


def test_a_server_that_already_has_the_start_is_believed(server, make_task):
    """Another harness may have delivered it and died before writing that down."""
    task = make_task("print('0123456789')")
    server.streams["output"] = bytearray(b"01234")
    task.run()

    assert bytes(server.streams["output"]) == b"0123456789\n"


def test_requests_keep_a_tenth_of_a_second_apart_and_lines_leave_at_once(server, make_task):
    task = make_task(
        "import time\nfor i in range(400):\n    print(time.time(), flush=True)\n    time.sleep(0.005)\n"
        "for i in range(4):\n    time.sleep(0.5)\n    print(time.time(), flush=True)"
    )
    task.run()

    gaps = [after - before for before, after in zip(server.arrivals, server.arrivals[1:], strict=False)]
    assert min(gaps[:-1]) > 0.08
    printed = [float(line) for line in bytes(server.streams["output"]).split()]
    delays, have = [], 0
    for at, size in server.record_at["output"]:
        count = bytes(server.streams["output"][:size]).count(b"\n")
        delays += [at - stamp for stamp in printed[have:count]]
        have = count
    delays.sort()
    assert delays[len(delays) * 95 // 100] < 0.5, delays[-20:]


def test_silence_is_broken_by_heartbeats(server, tmp_path, monkeypatch):
    monkeypatch.setattr(ship, "HEARTBEAT_S", 0.3)
    task = task_read(str(TaskFolder(tmp_path / "task", server_url=server.url).root))
    words = Words(task.spool("harness"))
    shipper = ship.Shipper(task, Spool(task), words, on_stop=lambda grace_s: None)
    shipper.start()
    wait_for(lambda: len(server.headers) == 4, what="four frames")
    shipper.close()
    shipper.join(10)

    assert [header["segments"] for header in server.headers[:4]] == [[]] * 4
    assert server.arrivals[3] - server.arrivals[0] > 0.8


def test_an_answer_may_ask_for_the_end(server, make_task):
    task = make_task("import time\nprint('up', flush=True)\ntime.sleep(600)")
    harness = task.harness_start()
    wait_for(lambda: server.streams.get("output"), what="output")
    server.stop = {"grace_s": 3}

    assert harness.wait(20) == 0
    assert server.exits[-1]["signal"] == signal.SIGTERM
    assert (task.root / "stop").read_text() == "3\n"


def test_an_unlucky_harness_killed_while_the_server_is_away_loses_nothing(make_task):
    task = make_task(TICKING.format(20), server_url="http://127.0.0.1:9")
    harness = task.harness_start()
    wait_for((task.root / "exit.json").exists, what="the exit")
    os.kill(harness.pid, signal.SIGKILL)
    harness.wait()
    with IngestServer() as server:
        task.announce(server.url)
        task.run()
        assert bytes(server.streams["output"]) == numbers(20)
        assert server.is_complete()
