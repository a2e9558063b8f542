"""The whole platform in processes of its own, as ``make run`` starts it, and a person's hands on it."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil

from runs.states import FINAL

ROOT = Path(__file__).resolve().parents[2]
Found = TypeVar("Found")


def wait_for(
    look: Callable[[], Found | None], *, timeout_s: float, what: str | Callable[[], str], every_s: float = 0.05
) -> Found:
    """What ``look`` returns as soon as it is true; fails with ``what`` when that takes longer than ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what() if callable(what) else what}"
        time.sleep(every_s)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class House:
    """One installation: its data folder, its port, and its processes while they run."""

    data_dir: Path
    port: int = field(default_factory=free_port)
    environ: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log_path(self) -> Path:
        return self.data_dir.parent / f"{self.data_dir.name}.log"

    def start(self, *arguments: str, timeout_s: float = 60.0) -> None:
        """Starts ``manage.py up`` and returns when it answers."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("TRAINHOUSE_")}
        environ.pop("DJANGO_SETTINGS_MODULE", None)
        environ |= {
            "TRAINHOUSE_DATA_DIR": str(self.data_dir),
            "TRAINHOUSE_PORT": str(self.port),
            "TRAINHOUSE_LOCAL_CPU_SLOTS": "4",
            # Installations beside each other must not share user ids: one would end the other's tasks.
            "TRAINHOUSE_RUN_USER_IDS": f"{self.port * 10_000}-{self.port * 10_000 + 9_999}",
            **self.environ,
        }
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "up", *arguments],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=self.log_path.open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        what = f"an answer at {self.url}"
        try:
            wait_for(self._answers, timeout_s=timeout_s, what=lambda: f"{what}; its log:\n{self.log_tail()}")
        except BaseException:
            self.process.kill()  # its children end with it
            raise

    def stop(self, *, timeout_s: float = 30.0) -> int:
        """Ends it as Ctrl-C does, and returns the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout_s)
        self.process = None
        return code

    def parts(self, name: str) -> list[psutil.Process]:
        """The child processes that play a part: ``web``, ``control``, ``builds``, ``supervisor`` or ``redis``."""
        assert self.process is not None
        found = []
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # it may end while it is looked at
                if name in child.name():
                    found.append(child)
        return found

    def kill(self, name: str) -> None:
        """SIGKILL to every process of a part."""
        found = self.parts(name)
        assert found, f"no part {name!r}; its log:\n{self.log_tail()}"
        for process in found:
            process.kill()

    def log_tail(self, characters: int = 6000) -> str:
        return self.log_path.read_text(errors="replace")[-characters:] if self.log_path.exists() else ""

    def manage(self, *arguments: str) -> str:
        """One ``manage.py`` command against this installation; its output."""
        environ = {**os.environ, "TRAINHOUSE_DATA_DIR": str(self.data_dir), "TRAINHOUSE_PORT": str(self.port)}
        environ.pop("DJANGO_SETTINGS_MODULE", None)
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout

    def sign_in_path(self) -> str:
        """A fresh one-time sign-in address of the first administrator, without the host."""
        found = re.search(r"(/accounts/link/\S+)", self.manage("signin_link"))
        assert found
        return found.group(1)

    def row(self, query: str, *arguments: Any) -> dict[str, Any] | None:
        """The first row of a query, read beside the running server."""
        rows = self.rows(query, *arguments)
        return rows[0] if rows else None

    def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        path = self.data_dir / "trainhouse.sqlite3"
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20) as connection:
            connection.row_factory = sqlite3.Row
            found = [dict(row) for row in connection.execute(query, arguments)]
        connection.close()
        return found

    def run_row(self, run_id: int) -> dict[str, Any]:
        row = self.row("SELECT * FROM runs_run WHERE id = ?", run_id)
        assert row is not None
        return row

    def wait_until(self, run_id: int, *states: str, timeout_s: float = 60.0) -> dict[str, Any]:
        """The run's row once it is in one of ``states``; fails at once when it has ended in another."""

        def look() -> dict[str, Any] | None:
            row = self.run_row(run_id)
            if row["state"] in states:
                return row
            assert row["state"] not in FINAL, self.story(run_id)
            return None

        return wait_for(look, timeout_s=timeout_s, what=lambda: f"{states}\n{self.story(run_id)}")

    def wait_ended(self, run_id: int, *, timeout_s: float = 90.0) -> dict[str, Any]:
        """The run's row once it has ended, however."""
        return self.wait_until(run_id, *map(str, FINAL), timeout_s=timeout_s)

    def story(self, run_id: int) -> str:
        """What a failing test prints: the run, its events, the ends of its logs and of the server's."""
        run = self.run_row(run_id)
        events = self.rows("SELECT at, kind, message FROM runs_runevent WHERE run_id = ? ORDER BY id", run_id)
        lines = [f"run {run_id}: {run['state']} {run['end_reason']} {run['end_message']} {run['waiting_for']}"]
        lines += [f"  {event['at']} {event['kind']}: {event['message']}" for event in events]
        for stream in self.streams(run_id):
            lines.append(f"--- {stream['name']}")
            lines.append(self.stored(stream["id"])[-1500:].decode(errors="replace"))
        return "\n".join([*lines, "--- server", self.log_tail(3000)])

    def streams(self, run_id: int) -> list[dict[str, Any]]:
        return self.rows(
            "SELECT s.* FROM runs_stream s JOIN runs_task t ON t.id = s.task_id "
            "JOIN runs_attempt a ON a.id = t.attempt_id WHERE a.run_id = ? AND s.kind = 'log' "
            "UNION SELECT s.* FROM runs_stream s JOIN runs_run r ON r.environment_id = s.environment_id WHERE r.id = ?",
            run_id,
            run_id,
        )

    def stored(self, stream_id: int) -> bytes:
        """A log as the server keeps it."""
        found = list((self.data_dir / "logs").rglob(f"{stream_id}.log"))
        return found[0].read_bytes() if found else b""

    def output(self, run_id: int) -> bytes:
        """Everything the run's script printed, as the server keeps it."""
        return b"".join(self.stored(s["id"]) for s in self.streams(run_id) if s["name"] == "output")

    def task_folder(self, run_id: int) -> Path:
        row = self.row(
            "SELECT t.id FROM runs_task t JOIN runs_attempt a ON a.id = t.attempt_id "
            "WHERE a.run_id = ? ORDER BY t.id DESC",
            run_id,
        )
        assert row is not None
        return self.data_dir / "tasks" / f"task-{row['id']}"

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"`up` has ended with {self.process.returncode}:\n{self.log_tail()}"
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as client:
                client.sendall(b"GET /readyz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
                return b" 200 " in client.recv(200)
        except OSError:
            return False
