"""What the task uses of the machine: processor, memory, processes, GPUs, as JSON lines in ``spool/samples``."""

import json
import os
import time

from trainhouse.harness.gpu import Gpus
from trainhouse.harness.processes import descendants

_EARLY_EVERY_S, _EVERY_S, _EARLY_FOR_S = 2.0, 5.0, 60.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MEBIBYTE = 1 << 20


class Sampler:
    """Appends one line a sample: every 2 s during the first minute, every 5 s then."""

    def __init__(self, task):
        self._descriptor = os.open(task.spool("samples"), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._gpus = Gpus(task.gpu_indexes)
        self._begun_at = self._last_at = self._due_at = time.monotonic()
        self._cpu_s = {}

    def tick(self, guard):
        """Samples everything below the process ``guard`` if it is time. The first call only sets the mark from which
        processor use is counted."""
        now = time.monotonic()
        if now < self._due_at:
            return
        processes = descendants(guard)
        cpu_s = {process.pid: process.cpu_s for process in processes}
        if self._cpu_s and now > self._last_at:
            used_s = sum(max(0.0, used - self._cpu_s.get(pid, 0.0)) for pid, used in cpu_s.items())
            self._write(
                [
                    ("cpu_percent", 100.0 * used_s / (now - self._last_at)),
                    ("memory_mb", memory_bytes(processes) / _MEBIBYTE),
                    ("processes", len(processes)),
                    *self._gpus.sample(),
                ]
            )
        self._cpu_s, self._last_at = cpu_s, now
        self._due_at = now + (_EARLY_EVERY_S if now - self._begun_at < _EARLY_FOR_S else _EVERY_S)

    def _write(self, values):
        taken_at = time.time()
        points = [[name, None, round(taken_at, 3), round(float(value), 2)] for name, value in values]
        line = json.dumps({"k": "points", "p": points}, separators=(",", ":")) + "\n"
        try:
            os.write(self._descriptor, line.encode("ascii"))
        except OSError:
            pass  # a full disk costs samples, nothing else


def memory_bytes(processes):
    """The resident memory of ``processes``, with what they share (libraries, shared memory) counted once: the private
    parts of all plus the largest shared part. Pages that a fork still shares count for each."""
    private, shared_most = 0, 0
    for process in processes:
        try:
            with open("/proc/{}/statm".format(process.pid), "rb") as file:
                shared = int(file.read().split()[2])
        except (OSError, ValueError, IndexError):
            continue  # it ended
        private += max(0, process.resident_pages - shared)
        shared_most = max(shared_most, shared)
    return (private + shared_most) * _PAGE_BYTES
