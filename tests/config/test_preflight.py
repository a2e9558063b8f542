"""What is in the way of a start: each obstacle is a sentence with its value."""

import dataclasses
import fcntl
import os
import shutil
import socket
import threading
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from config.env import Env
from config.up import preflight
from config.up.errors import StartRefused
from config.up.redis_server import lock_path


@pytest.fixture
def env(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return Env(data_dir=tmp_path, runtime_dir=str(tmp_path / "run"), port=port)


class _Answer(BaseHTTPRequestHandler):
    body = b"hello"

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_):
        pass


@pytest.fixture
def someone_at_the_port(env):
    """A stranger's server at the port; its class is given back."""
    answer = type("Answer", (_Answer,), {})
    server = HTTPServer((env.host, env.port), answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield answer
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_taken_port_is_named_with_a_free_one(env, someone_at_the_port):
    with pytest.raises(StartRefused) as refusal:
        preflight.listen(env)
    words = str(refusal.value)
    assert f"Port {env.port} on 127.0.0.1 is taken by another program." in words
    free = int(words.rpartition("TRAINHOUSE_PORT=")[2])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", free))


def test_another_trainhouse_at_the_port_is_recognised(env, someone_at_the_port, monkeypatch):
    monkeypatch.setattr(preflight, "HANDOVER_S", 0.1)
    someone_at_the_port.body = b'{"service": "trainhouse"}'
    with pytest.raises(StartRefused, match="is taken by another Trainhouse"):
        preflight.listen(env)


def test_a_port_that_is_let_go_in_time_is_taken_over(env):
    holder = socket.socket()
    holder.bind((env.host, env.port))
    timer = threading.Timer(0.3, holder.close)
    timer.start()
    listener = preflight.listen(env)
    assert listener.getsockname() == (env.host, env.port)
    listener.close()
    timer.join()


def test_a_foreign_address_is_refused(env):
    foreign = Env(data_dir=env.data_dir, host="192.0.2.1", port=env.port)
    with pytest.raises(StartRefused, match=r"cannot listen on 192\.0\.2\.1.*TRAINHOUSE_HOST"):
        preflight.listen(foreign)


def test_a_full_disk_is_refused_with_what_is_left(env, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 150 * 1024**2))
    with pytest.raises(StartRefused, match="has 150 MB free; 200 MB are needed"):
        preflight.check_disk(env.data_dir)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(StartRefused, match="Nothing can be written to the data folder"):
        preflight.check_writable(tmp_path / "missing")


@pytest.mark.needs("root")
def test_a_data_folder_below_a_closed_one_is_refused_for_root(open_folder):
    (open_folder / "closed").mkdir(mode=0o700)
    (open_folder / "closed" / "data").mkdir(mode=0o711)
    with pytest.raises(StartRefused, match=r"closed is closed to others.*chmod o\+x"):
        preflight.check_reachable(open_folder / "closed" / "data")
    (open_folder / "closed").chmod(0o711)
    preflight.check_reachable(open_folder / "closed" / "data")


def test_the_data_folder_is_held_by_one_start_at_a_time(env):
    lock = preflight.take(env)
    with pytest.raises(StartRefused, match=rf"runs already on .*process {os.getpid()}, http://127.0.0.1:{env.port}"):
        preflight.take(env)
    os.close(lock)
    os.close(preflight.take(env))


def test_a_foreign_redis_at_the_socket_is_refused(redis_server, env):
    env = dataclasses.replace(env, runtime_dir=str(Path(redis_server.removeprefix("unix://")).parent))
    with pytest.raises(StartRefused, match="A Redis that this start did not make answers"):
        preflight.await_old_redis(env)


def test_an_earlier_redis_that_does_not_end_is_refused_and_one_that_ends_is_waited_for(env, monkeypatch):
    monkeypatch.setattr(preflight, "HANDOVER_S", 0.1)
    path = lock_path(env.data_dir)
    path.parent.mkdir(parents=True)
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StartRefused, match="Redis of an earlier start still runs"):
            preflight.await_old_redis(env)
    preflight.await_old_redis(env)
