"""Starting a process that outlives the server's, and ending all processes of a task."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compute.backends.local.identities import Identity

STARTER = Path(__file__).with_name("starter.py")
_START_TIMEOUT_S = 20
_KILL_DEADLINE_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process that is nobody's child. ``started`` is the kernel's start time, which tells it from a namesake."""

    pid: int
    started: int

    def is_alive(self) -> bool:
        """False once it has ended, whether or not it was buried."""
        fields = _stat(self.pid)
        return fields is not None and fields[0] not in (b"Z", b"X") and int(fields[19]) == self.started


def process_detach(
    argv: list[str], *, environ: Mapping[str, str], folder: Path, log: str, identity: Identity
) -> Process:
    """Starts ``argv`` in a session of its own as ``identity``; it belongs to no job and ends with none.

    Works in ``folder``; its output is appended to ``log`` below it. Raises OSError with the reason.
    """
    order = {
        "argv": argv,
        "environ": dict(environ),
        "folder": str(folder),
        "log": log,
        "umask": 0o007,  # every task has a group of its own, and what it downloads belongs to its owner's
        "uid": identity.uid,
        "groups": list(identity.groups),
    }
    answer = json.loads(starter_run("detach", order))
    if "error" in answer:
        raise OSError(f"{argv[0]} cannot be started: {answer['error']}")
    return Process(pid=answer["pid"], started=answer["started"])


def processes_kill(key: str, identity: Identity) -> int:
    """Kills every process of the task ``key`` and returns how many there were. Idempotent.

    With a user of its own, these are all processes of that user. Otherwise those that carry the task's name in their
    environment and all that descend from them; a process that cleared its environment and lost its parent is missed.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + _KILL_DEADLINE_S
    while (found := _processes_of(key, identity)) and time.monotonic() < deadline:
        killed |= found
        if identity.uid is not None:
            with contextlib.suppress(OSError):
                starter_run("slay", {"uid": identity.uid})
        else:
            # Stopped first, so that none sees another die and acts on it: writes, or starts a successor.
            for number in (signal.SIGSTOP, signal.SIGKILL):
                for pid in found:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, number)
        time.sleep(0.01)  # the kernel takes a moment to bury what was killed
    return len(killed)


def user_ids_of_processes() -> set[int]:
    """The users of all processes of this machine, as far as /proc shows them."""
    owners = (_owner(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return {owner for owner in owners if owner is not None}


def starter_run(verb: str, order: dict[str, Any]) -> bytes:
    """Runs the starter and returns what it prints. Raises OSError with what it says when it fails."""
    try:
        done = subprocess.run(
            starter_argv(verb),
            input=json.dumps(order).encode(),
            capture_output=True,
            timeout=_START_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"starter {verb} did not end within {_START_TIMEOUT_S} s; is the machine overloaded?") from error
    if done.returncode != 0:
        raise OSError(f"starter {verb} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-500:]}")
    return done.stdout


def starter_argv(verb: str) -> list[str]:
    """The command that runs the starter: the server's own interpreter, without the site's packages."""
    return [sys.executable, "-I", "-S", str(STARTER), verb]


def _processes_of(key: str, identity: Identity) -> set[int]:
    mark = b"TRAINHOUSE_TASK=" + key.encode()
    parents: dict[int, int] = {}
    found: set[int] = set()
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        fields = _stat(int(name))
        if fields is None or fields[0] in (b"Z", b"X"):
            continue
        parents[int(name)] = int(fields[1])
        if _is_marked(int(name), mark) if identity.uid is None else _owner(int(name)) == identity.uid:
            found.add(int(name))
    if identity.uid is None:
        grown = True
        while grown:
            children = {pid for pid, parent in parents.items() if parent in found} - found
            found |= children
            grown = bool(children)
    return found


def _stat(pid: int) -> list[bytes] | None:
    """The fields of /proc/<pid>/stat behind the name: state, parent, …; None when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None


def _owner(pid: int) -> int | None:
    """The process's user. Read from its status: the folder in /proc belongs to root for some."""
    try:
        for line in Path(f"/proc/{pid}/status").read_bytes().splitlines():
            if line.startswith(b"Uid:"):
                return int(line.split()[1])
    except OSError:
        pass
    return None


def _is_marked(pid: int, mark: bytes) -> bool:
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
