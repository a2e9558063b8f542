"""The one command: a real process family with a data folder and a port of its own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]

#: Everything below is local and takes moments; this is for a machine that is busy.
PATIENCE_S = 60.0


class Up:
    """One ``manage.py up`` and what it says."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder / f"up-{self.port}.log"
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("TRAINHOUSE_")}
        self.environ |= {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "TRAINHOUSE_DATA_DIR": str(folder / "data"),
            "TRAINHOUSE_RUNTIME_DIR": str(folder / "run"),
            "TRAINHOUSE_PORT": str(self.port),
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> "Up":
        with self.log.open("ab") as log:
            command = [sys.executable, str(ROOT / "manage.py"), "up", *options]
            self.process = subprocess.Popen(command, env=self.environ, stdout=log, stderr=log, start_new_session=True)
        return self

    def ready(self) -> "Up":
        wait_for(lambda: "is ready" in self.text() or self.process.poll() is not None, self.text)
        assert self.process.poll() is None, self.text()
        return self

    def text(self) -> str:
        return self.log.read_text()

    def get(self, path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE_S) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def parts(self) -> dict[str, int]:
        """The process of each part that runs now, by name."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess, FileNotFoundError):  # it may end while it is looked at
                if child.status() != psutil.STATUS_ZOMBIE:
                    found[part_name(child)] = child.pid
        return found

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@pytest.fixture
def house(open_folder) -> Iterator[Up]:
    """A platform that can be started; ended, with all its children, when the test is over."""
    up = Up(open_folder)
    yield up
    if up.process and up.process.poll() is None:
        children = psutil.Process(up.process.pid).children(recursive=True)
        up.process.kill()
        up.process.wait()
        psutil.wait_procs(children, timeout=PATIENCE_S)


def test_the_first_start_ends_in_a_page_and_a_link_that_signs_in(house):
    house.start().ready()
    assert house.get("/accounts/login/") == 200
    assert house.get("/readyz") == 200
    link = re.search(rf"http://127\.0\.0\.1:{house.port}(/accounts/link/\S+)", house.text()).group(1)
    assert house.get(link) == 200
    assert (house.folder / "data").stat().st_mode & 0o777 == 0o711
    assert set(house.parts()) == {"redis", "supervisor", "control-1", "control-2", "builds", "web"}


def test_every_part_that_is_killed_comes_back(house):
    house.start().ready()
    before = house.parts()
    for name, pid in before.items():
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda name=name, pid=pid: house.parts().get(name, pid) != pid, house.text)
        assert f"{name} ended and is started again" in house.text()
    wait_for(lambda: house.get("/readyz") == 200, house.text)
    assert house.parts().keys() == before.keys()
    assert not set(house.parts().values()) & set(before.values())


def test_no_request_is_refused_while_web_is_started_again(house):
    """The listening socket belongs to the parent: requests wait in it."""
    house.start().ready()
    for _ in range(3):
        os.kill(house.parts()["web"], signal.SIGKILL)
        assert house.get("/healthz") == 200


def test_ctrl_c_ends_everything_in_order_and_says_what_goes_on(house):
    house.start().ready()
    children = psutil.Process(house.process.pid).children(recursive=True)
    assert house.end() == 0
    assert "Stopping. No run is active." in house.text()
    assert not psutil.wait_procs(children, timeout=0)[1]
    assert not (house.folder / "run" / "redis.sock").exists()
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", house.port)):
        pass


def test_ctrl_c_while_a_browser_holds_a_connection_does_not_wait_for_it(house):
    house.start().ready()
    with socket.create_connection(("127.0.0.1", house.port)) as browser:
        browser.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert browser.recv(20).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        assert house.end() == 0
        assert time.monotonic() - began < 10


def test_children_end_when_their_parent_is_killed_and_the_next_start_takes_over(house):
    house.start().ready()
    children = psutil.Process(house.process.pid).children(recursive=True)
    house.process.kill()
    house.process.wait()
    house.start().ready()
    assert house.get("/readyz") == 200
    assert not psutil.wait_procs(children, timeout=PATIENCE_S)[1]


def test_the_queue_survives_a_redis_that_is_killed(house):
    import redis

    house.start().ready()
    client = redis.Redis(unix_socket_path=str(house.folder / "run" / "redis.sock"))
    client.set("kept", "yes")
    client.execute_command("BGREWRITEAOF")
    wait_for(lambda: client.info("persistence")["aof_rewrite_in_progress"] == 0, house.text)
    client.close()
    redis_pid = house.parts()["redis"]
    os.kill(redis_pid, signal.SIGKILL)
    wait_for(lambda: house.parts().get("redis", redis_pid) != redis_pid, house.text)
    wait_for(lambda: house.get("/readyz") == 200, house.text)
    assert redis.Redis(unix_socket_path=str(house.folder / "run" / "redis.sock")).get("kept") == b"yes"


def test_a_second_start_on_the_same_data_folder_is_refused(house):
    house.start().ready()
    other = Up(house.folder)
    assert other.start().process.wait(PATIENCE_S) == 1
    assert "Trainhouse runs already on the data folder" in other.text()
    assert f"process {house.process.pid}, http://127.0.0.1:{house.port}" in other.text()
    assert "Traceback" not in other.text()
    assert house.get("/healthz") == 200


def test_a_taken_port_is_one_sentence(house):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", house.port))
        holder.listen()
        assert house.start().process.wait(PATIENCE_S) == 1
    assert f"Port {house.port} on 127.0.0.1 is taken by another program." in house.text()
    assert "TRAINHOUSE_PORT=" in house.text()
    assert len(house.text().strip().splitlines()) == 1


def test_a_data_folder_that_cannot_be_used_is_one_sentence(house):
    (house.folder / "data").write_text("a file")
    assert house.start().process.wait(PATIENCE_S) == 1
    assert "cannot be made" in house.text()
    assert "TRAINHOUSE_DATA_DIR" in house.text()
    assert len(house.text().strip().splitlines()) == 1


def test_a_setting_that_does_not_exist_is_one_sentence(tmp_path):
    up = Up(tmp_path, TRAINHOUSE_PROT="1")
    assert up.start().process.wait(PATIENCE_S) == 1
    assert up.text().startswith("TRAINHOUSE_PROT is set, but there is no such setting.")
    assert len(up.text().strip().splitlines()) == 1


def test_all_processes_together_stay_small_when_idle(house):
    """PSS counts shared pages by halves; the limit is the project's own."""
    house.start().ready()
    assert house.get("/accounts/login/") == 200
    pids = [house.process.pid, *house.parts().values()]
    total_mb = sum(psutil.Process(pid).memory_full_info().pss for pid in pids) / 1024**2
    assert total_mb < 300, json.dumps({"pss_mb": total_mb})


def wait_for(condition: Callable[[], object], explain: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.02)


def part_name(child: psutil.Process) -> str:
    """The part's name, as the child has set it on its process; Redis goes by its program's."""
    name = Path(f"/proc/{child.pid}/comm").read_text().strip()
    return "redis" if name == "redis-server" else name.removeprefix("th-")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
