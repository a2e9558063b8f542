"""A task folder laid out as a backend does it, and the harness processes started on it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HARNESS = Path(__file__).parents[2] / "sdk" / "trainhouse" / "harness"


def wait_for(condition: Callable[[], object], *, within_s: float = 20.0, what: str = "") -> object:
    """The first true value of ``condition``; fails after ``within_s``."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"Not within {within_s:g} s: {what or condition}")


class TaskFolder:
    """One task of a test. ``script`` is Python source; ``argv`` overrides the whole command."""

    def __init__(
        self,
        root: Path,
        *,
        script: str = "",
        argv: list[str] | None = None,
        server_url: str = "",
        environ: dict[str, str] | None = None,
        token: str = "1.secret",
        **document: object,
    ):
        self.root = root
        self.processes: list[subprocess.Popen] = []
        for name in ("work/outputs", "work/logs", "uploads", "home", "tmp", "spool"):
            (root / name).mkdir(parents=True)
        (root / "work" / "train.py").write_text(script, encoding="utf-8")
        self.announce(server_url)
        (root / "token").write_text(token + "\n")
        complete = {
            "PATH": os.environ["PATH"],
            "PYTHONUNBUFFERED": "1",
            "TRAINHOUSE_POINTS": str(root / "spool" / "points"),
            "TRAINHOUSE_UPLOADS": str(root / "uploads"),
            **(environ or {}),
        }
        task = {
            "schema": 1,
            "task": "test-chief-0",
            "task_id": 1,
            "argv": argv or [sys.executable, "-u", "train.py"],
            "environ": complete,
            "grace_s": 15,
            "log_limit_bytes": 0,
            "gpu_indexes": [],
            **document,
        }
        (root / "task.json").write_text(json.dumps(task))

    def announce(self, server_url: str) -> None:
        (self.root / "server.new").write_text(server_url + "\n")
        os.replace(self.root / "server.new", self.root / "server")

    def harness_start(self) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(HARNESS), str(self.root)],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def run(self, *, within_s: float = 30.0) -> dict:
        """Starts a harness, waits for its end and returns the exit on record."""
        assert self.harness_start().wait(within_s) == 0, self.words()
        return self.exit_record()

    def exit_record(self) -> dict:
        return json.loads((self.root / "exit.json").read_text())

    def output(self) -> bytes:
        return (self.root / "spool" / "output").read_bytes()

    def words(self) -> str:
        path = self.root / "spool" / "harness"
        return path.read_text() if path.exists() else "(no words)"

    def is_locked(self, name: str) -> bool:
        path = self.root / name
        if not path.exists():
            return False
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def guard_pid(self) -> int:
        path = self.root / "started"
        wait_for(path.exists, what="the guard's mark")
        return json.loads(path.read_text())["guard"]

    def clear(self) -> None:
        """Kills what is left of the task, for the end of a test."""
        marker = f"TRAINHOUSE_POINTS={self.root / 'spool' / 'points'}".encode()
        pids = [process.pid for process in self.processes if process.poll() is None]
        if (self.root / "started").exists() and self.is_locked("guard.lock"):
            pids.append(self.guard_pid())
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if marker in (folder / "environ").read_bytes().split(b"\0"):
                    pids.append(int(folder.name))
            except OSError:
                continue
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for process in self.processes:
            process.wait()
