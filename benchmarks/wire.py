"""A web server of its own on loopback with a database, Redis and simulated tasks, for benchmarks of the wire.

Import this before anything of the server: it chooses the data folder.
"""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA_DIR = Path(tempfile.mkdtemp(prefix="th-bench-"))

for _name in [name for name in os.environ if name.startswith("TRAINHOUSE_")]:
    del os.environ[_name]
os.environ["TRAINHOUSE_DATA_DIR"] = str(DATA_DIR)
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
sys.path[:0] = [str(ROOT), str(ROOT / "platform"), str(ROOT / "sdk")]

import django  # noqa: E402

django.setup()

from django.core.management import call_command  # noqa: E402

from config.env import Env  # noqa: E402
from config.secrets import runtime_dir  # noqa: E402
from config.up import redis_server  # noqa: E402
from runs.ingest.tokens import task_token  # noqa: E402
from runs.models import Task  # noqa: E402


@contextmanager
def server() -> Iterator[tuple[int, Path]]:
    """Redis, a migrated database and one web process. Its port, and the file of what it says."""
    runtime = runtime_dir(Env(data_dir=DATA_DIR))
    redis = subprocess.Popen(redis_server.redis_command(data_dir=DATA_DIR, runtime_dir=runtime))
    web = None
    words = DATA_DIR / "web.txt"
    try:
        redis_server.wait_until_ready(redis_server.socket_path(runtime), is_alive=lambda: redis.poll() is None)
        call_command("migrate", verbosity=0)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "config.asgi:application",
            "--port",
            str(port),
            "--log-level",
            "warning",
        ]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path[:3])}
        with words.open("wb") as output:
            web = subprocess.Popen(command, env=environ, stdout=output, stderr=output)
        _wait_for(port, web)
        yield port, words
    finally:
        for process in (web, redis):
            if process is not None:
                process.terminate()
                process.wait(10)
        shutil.rmtree(runtime, ignore_errors=True)
        shutil.rmtree(DATA_DIR, ignore_errors=True)


class Sender:
    """A task's side of the wire: keeps its offsets and one connection."""

    def __init__(self, port: int, task: Task) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._headers = {"Authorization": f"Bearer {task_token(task.pk)}"}
        self._offsets = {"output": 0, "points": 0}

    def send(self, **streams: bytes) -> int:
        """Sends more bytes of some streams, and returns the status."""
        segments = [
            {"stream": name, "offset": self._offsets[name], "size": len(data), "eof": False}
            for name, data in streams.items()
        ]
        head = json.dumps({"v": 1, "segments": segments}).encode()
        body = b"".join([head, b"\n", *streams.values()])
        self._connection.request("POST", "/api/v1/ingest", body=body, headers=self._headers)
        response = self._connection.getresponse()
        answer = json.loads(response.read())
        self._offsets.update(answer.get("accepted", {}))
        return response.status


def percentile(values: list[float], share: float) -> float:
    """The value that ``share`` of all are not above."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def _wait_for(port: int, process: subprocess.Popen) -> None:
    give_up_at = time.monotonic() + 30
    while time.monotonic() < give_up_at and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("The web server did not come up.")
