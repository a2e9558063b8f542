"""Any process may be killed at any time, and nothing is lost: every line and every point once."""

import os
import signal

import psutil
import pytest
import redis

from tests.e2e.house import House, free_port, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

STEADY = """
import sys, time
from trainhouse import Run
run = Run.get_context()
count = int(sys.argv[1])
for i in range(count):
    print("line", i)
    run.log("counter", i, step=i)
    time.sleep(0.02)
"""


def expect_everything_once(house: House, person, run_id: int, count: int) -> None:
    row = house.wait_ended(run_id, timeout_s=120)
    assert (row["state"], row["end_reason"]) == ("completed", "succeeded"), house.story(run_id)
    assert house.output(run_id) == b"".join(b"line %d\n" % i for i in range(count))
    series = person.json(f"/runs/{run_id}/series.json?kind=metric&name=counter&most=100000")["series"]
    assert [one["values"] for one in series] == [[float(i) for i in range(count)]]


def test_every_part_of_the_platform_is_killed_in_turn_and_every_line_and_point_is_there_once(house, person):
    run_id = person.submit(STEADY, params=[("1000", "")])
    house.wait_until(run_id, "running")
    for part in ("web", "control", "supervisor", "redis", "builds"):
        before = len(house.output(run_id))
        house.kill(part)
        wait_for(
            lambda before=before: len(house.output(run_id)) > before,
            timeout_s=45,
            what=lambda part=part: f"new lines after {part} was killed\n{house.story(run_id)}",
        )
    expect_everything_once(house, person, run_id, 1000)


def test_a_queue_that_is_flushed_in_the_middle_loses_nothing(house, person):
    connection = redis.Redis(unix_socket_path=redis_socket(house))
    run_id = person.submit(STEADY, params=[("200", "")])
    connection.flushall()
    house.wait_until(run_id, "running")
    connection.flushall()
    connection.close()
    expect_everything_once(house, person, run_id, 200)


def test_the_harness_is_killed_and_the_script_does_not_notice(house, person):
    run_id = person.submit(STEADY, params=[("400", "")])
    house.wait_until(run_id, "running")
    harnesses = harnesses_of(house, run_id)
    assert harnesses
    for process in harnesses:
        process.kill()
    expect_everything_once(house, person, run_id, 400)
    kinds = [event["kind"] for event in house.rows("SELECT kind FROM runs_runevent WHERE run_id = ?", run_id)]
    assert "harness" in kinds


def test_training_goes_on_while_the_platform_is_stopped_and_is_found_again_at_another_address(house, person):
    run_id = person.submit(STEADY, params=[("500", "")])
    house.wait_until(run_id, "running")
    spool = house.task_folder(run_id) / "spool" / "output"
    port = house.port
    assert house.stop() == 0
    assert "raining goes on" in house.log_tail()
    size = spool.stat().st_size
    wait_for(lambda: spool.stat().st_size > size, timeout_s=10, what="lines while the platform is away")
    house.port = free_port()
    house.start()
    person.url = house.url
    try:
        expect_everything_once(house, person, run_id, 500)
    finally:
        house.stop()
        house.port = port
        house.start()
        person.url = house.url


def test_when_http_is_blocked_for_good_the_spool_comes_home_all_the_same(house, person):
    run_id = person.submit("import time\nfor i in range(60): print('line', i, flush=True); time.sleep(0.05)")
    address = house.task_folder
    folder = wait_for(lambda: folder_of(address, run_id), timeout_s=90, what=lambda: house.story(run_id))
    for process in harnesses_of(house, run_id):
        process.send_signal(signal.SIGSTOP)  # as good as a wire that is cut
    row = house.wait_ended(run_id, timeout_s=120)
    assert row["state"] == "completed", house.story(run_id)
    assert house.output(run_id) == b"".join(b"line %d\n" % i for i in range(60))
    assert not folder.exists()


def redis_socket(house: House) -> str:
    found = [
        connection.laddr
        for process in house.parts("redis")
        for connection in process.net_connections(kind="unix")
        if str(connection.laddr).endswith(".sock")
    ]
    assert found
    return str(found[0])


def folder_of(address, run_id: int):
    try:
        folder = address(run_id)
    except AssertionError:
        return None
    return folder if (folder / "lock").exists() else None


def harnesses_of(house: House, run_id: int) -> list[psutil.Process]:
    """The processes that hold the task's ``lock`` open: its harness, not the guard."""
    lock = os.stat(house.task_folder(run_id) / "lock")
    held = f"{os.major(lock.st_dev):02x}:{os.minor(lock.st_dev):02x}:{lock.st_ino}"
    with open("/proc/locks") as table:
        pids = [int(line.split()[4]) for line in table if held in line and "FLOCK" in line]
    return [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
