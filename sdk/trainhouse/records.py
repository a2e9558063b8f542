"""The file through which a script speaks to its harness: JSON lines, each appended by one write."""

import json
import os
import sys
import threading

LINE_BYTES_MOST = 512 * 1024


class RecordTooLarge(ValueError):
    """One record is longer than a line may be (512 KB)."""


class RecordFile:
    """Appends records to ``path``. Threads and forked children may share one.

    Never raises for what the disk does: the first failure is told on stderr, training goes on.
    """

    def __init__(self, path):
        self._path = path
        self._descriptor = None
        self._torn = False
        self._warned = False
        self._lock_renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._lock_renew)

    def write(self, *records):
        """Appends ``records`` by one write. Values are what JSON knows, NaN and infinity too. Raises RecordTooLarge."""
        lines = b""
        for record in records:
            line = json.dumps(record, separators=(",", ":")).encode("ascii") + b"\n"
            if len(line) > LINE_BYTES_MOST:
                raise RecordTooLarge(
                    "One record is {:,} bytes long; at most {:,} can be kept. Save it as a file in ./outputs "
                    "instead.".format(len(line), LINE_BYTES_MOST)
                )
            lines += line
        with self._lock:
            try:
                self._append(lines)
            except OSError as error:
                if not self._warned:
                    self._warned = True
                    sys.stderr.write("trainhouse: metrics are being lost: {}.\n".format(error.strerror or error))

    def _append(self, lines):
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if self._torn:
            lines = b"\n" + lines  # ends what an earlier failure left of a line
        rest = memoryview(lines)
        while rest:
            written = os.write(self._descriptor, rest)
            rest = rest[written:]
            self._torn = bool(rest)

    def _lock_renew(self):
        # In a forked child the lock may be held by a thread that was not forked along.
        self._lock = threading.Lock()
