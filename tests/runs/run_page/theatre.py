"""A real web server with a real Redis and a stage behind it, for tests that look through a real browser."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from config.env import Env
from config.secrets import runtime_dir
from config.up import redis_server as embedded

ROOT = Path(__file__).resolve().parents[3]


class Theatre:
    """A platform's web part in a data folder of its own. ``do`` makes something happen in its stores."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="th-page-"))
        self.folder.chmod(0o711)
        data_dir = self.folder / "data"
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRAINHOUSE_", "DJANGO_"))}
        self._environ = {
            **kept,
            "TRAINHOUSE_DATA_DIR": str(data_dir),
            "TRAINHOUSE_PORT": str(self.port),
            "TRAINHOUSE_DEBUG": "1",
            "TRAINHOUSE_LOG_LEVEL": "WARNING",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "platform"), str(ROOT / "sdk")]),
        }
        data_dir.mkdir(mode=0o711)
        runtime = runtime_dir(Env(data_dir=data_dir))
        self._redis = subprocess.Popen(embedded.redis_command(data_dir=data_dir, runtime_dir=runtime))
        embedded.wait_until_ready(embedded.socket_path(runtime), is_alive=lambda: self._redis.poll() is None)
        self._stage = subprocess.Popen(
            [sys.executable, "-m", "tests.runs.run_page.stage"],
            cwd=ROOT,
            env=self._environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()
        self.session = self.do("sign_in")["session"]
        self._web: subprocess.Popen[bytes] | None = None
        self.open()

    def do(self, deed: str, **wishes: Any) -> dict[str, Any]:
        """Does a deed of ``stage.py`` and returns its answer."""
        assert self._stage.stdin is not None
        self._stage.stdin.write(json.dumps({"do": deed, **wishes}) + "\n")
        self._stage.stdin.flush()
        return self._answer()

    def open(self) -> None:
        """Starts the web server and waits until it answers."""
        command = [sys.executable, "-m", "uvicorn", "config.asgi:application", "--host", "127.0.0.1"]
        self._web = subprocess.Popen(
            [*command, "--port", str(self.port), "--log-level", "warning"], cwd=ROOT, env=self._environ
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert self._web.poll() is None, "the web server ended at its start; its words are above"
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/accounts/login/")
                connection.getresponse().read()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("the web server did not answer within 30 s")

    def kill_web(self) -> None:
        """SIGKILL to the web server, as if the machine had lost power."""
        assert self._web is not None
        self._web.kill()
        self._web.wait(10)

    def close(self) -> None:
        if self._web is not None and self._web.poll() is None:
            self._web.terminate()
            self._web.wait(15)
        assert self._stage.stdin is not None
        self._stage.stdin.close()
        self._stage.wait(10)
        self._redis.terminate()
        self._redis.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answer(self) -> dict[str, Any]:
        assert self._stage.stdout is not None
        line = self._stage.stdout.readline()
        assert line, "the stage has fallen; its words are above"
        return json.loads(line)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
