"""How far a build is, for the page: ``Environment.progress`` and a ring, at most twice a second.

``{"phase", "label", "done", "total", "percent"}``: ``done`` and ``total`` count what the label speaks of (packages or
bytes; 0 of 0 when there is nothing to count), ``percent`` is of the whole build and never goes back.
"""

import re
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from django.db import DatabaseError, connection

from runs.live.doorbell import ring_environment
from runs.models import Environment

INTERVAL_S = 0.5

#: Where each phase begins, in percent of the whole, after builds on two cores; a phase ends where the next begins.
PHASES = {"resolve": 0, "create": 4, "download": 5, "install": 75, "compile": 78, "seal": 97, "ready": 100}

#: The same where Horovod belongs to the environment; without its wheel at hand, compiling it takes most of the time.
HOROVOD_PHASES = {
    **{"resolve": 0, "horovod": 3, "create": 74, "download": 75, "install": 92, "compile": 93},
    **{"check": 97, "seal": 99, "ready": 100},
}

#: A wheel unpacks to about so many times its size (TensorFlow 2.21: 261 MiB to 1.25 GiB).
UNPACKED_FACTOR = 4

_DOWNLOADING = re.compile(r"Downloading (\S+) \(([\d.]+)(KiB|MiB|GiB)\)")
_DOWNLOADED = re.compile(r"Downloaded (\S+)")
_BYTES = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


class Progress:
    """Says where a build stands. Safe to use from several threads."""

    def __init__(self, environment: Environment) -> None:
        self._environment_id = environment.pk
        self._phases = HOROVOD_PHASES if "horovod" in environment.spec else PHASES
        self._lock = threading.Lock()
        self._percent = 0
        self._phase = ""
        self._said_at = 0.0

    def say(self, phase: str, label: str, *, done: int = 0, total: int = 0) -> None:
        """Where the build is now. Within a phase, what comes faster than twice a second is passed over."""
        with self._lock:
            now = time.monotonic()
            if phase == self._phase and now - self._said_at < INTERVAL_S:
                return
            self._phase, self._said_at = phase, now
            self._percent = max(self._percent, _percent(self._phases, phase, done, total))
            said = {"phase": phase, "label": label, "done": done, "total": total, "percent": self._percent}
            Environment.objects.filter(pk=self._environment_id).update(progress=said)
        ring_environment(self._environment_id)


@dataclass
class Downloads:
    """Follows the downloads of one ``uv pip sync``: what it announces, and what it has unpacked so far.

    uv announces the larger wheels with their size, and says when each is here; in between only its temporary folders
    (``.tmp…`` in the cache) grow, which a thread looks at. Use as a context manager around the command.
    """

    progress: Progress
    cache: Path
    packages: int
    _sizes: dict[str, int] = field(default_factory=dict)
    _here: set[str] = field(default_factory=set)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> "Downloads":
        self._thread = threading.Thread(target=self._look, name="downloads", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def line(self, line: str) -> None:
        """One line of uv's output."""
        if match := _DOWNLOADING.search(line):
            self._sizes[match[1]] = int(float(match[2]) * _BYTES[match[3]])
        elif match := _DOWNLOADED.search(line):
            self._here.add(match[1])
        elif line.startswith("Prepared "):
            self._over.set()
            self.progress.say("install", f"Installing {self.packages} packages")
        elif line.startswith("Installed "):
            self._over.set()
            self.progress.say("compile", "Compiling to bytecode")

    def _look(self) -> None:
        try:
            while not self._over.wait(INTERVAL_S):
                if self._sizes:
                    with suppress(DatabaseError):  # it is only for show
                        self._say()
        finally:
            connection.close()

    def _say(self) -> None:
        sizes, here = dict(self._sizes), set(self._here)
        total = sum(sizes.values())
        whole = sum(size for name, size in sizes.items() if name in here)
        done = whole + min(_unpacked(self.cache) // UNPACKED_FACTOR, int(0.95 * (total - whole)))
        left = sorted((name for name in sizes if name not in here), key=lambda name: -sizes[name])
        label = f"Downloading {left[0]}" + (f" and {len(left) - 1} more" if len(left) > 1 else "") if left else ""
        if not self._over.is_set():
            self.progress.say("download", label or "Unpacking the packages", done=done, total=total)


def _percent(phases: Mapping[str, int], phase: str, done: int, total: int) -> int:
    names = list(phases)
    start = phases[phase]
    end = phases[names[min(names.index(phase) + 1, len(names) - 1)]]
    return start + int((end - start) * min(done, total) / total) if total else start


def _unpacked(cache: Path) -> int:
    """The bytes in uv's temporary folders. They come and go meanwhile."""
    total = 0
    with suppress(OSError):
        for folder in cache.glob(".tmp*"):
            for path in folder.rglob("*"):
                with suppress(OSError):
                    total += path.lstat().st_size
    return total
