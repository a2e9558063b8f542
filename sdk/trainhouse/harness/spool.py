"""The spool: append-only files, read behind the back of whoever writes them, and given back to the disk once the server
has them. The byte offset is the only cursor."""

import os

from trainhouse.harness.files import json_read, json_write
from trainhouse.harness.kernel import hole_punch
from trainhouse.harness.task import STREAMS

PUNCH_BYTES = 8 << 20
_BLOCK_BYTES = 4096
_LINE_STREAMS = ("points", "samples")


class Stream:
    """One file of the spool and how far the server has it.

    ``limit_bytes`` (0: none) is where collection ends; what lies behind it is discarded. Line streams are read up to
    their last complete line.
    """

    def __init__(self, name, path, acknowledged, limit_bytes=0):
        self.name = name
        self.acknowledged = acknowledged
        self.limit_bytes = limit_bytes
        self.closed = False
        self._lines = name in _LINE_STREAMS
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._looked = acknowledged
        self._holes = [0, -(-limit_bytes // _BLOCK_BYTES) * _BLOCK_BYTES]

    @property
    def end(self):
        """The offset up to which bytes are collected now."""
        return min(self._size, self.limit_bytes) if self.limit_bytes else self._size

    @property
    def is_full(self):
        """True once more has been written than is collected."""
        return bool(self.limit_bytes) and self._size > self.limit_bytes

    @property
    def grew(self):
        """True when there are bytes that ``read`` has not looked at."""
        return not self.closed and self.end > self._looked

    def read(self, size):
        """At most ``size`` bytes from the acknowledged offset on, for a line stream whole lines only.

        A line longer than ``size`` cannot travel: blanks go in its place, so that the lines behind it can.
        """
        want = min(size, self.end - self.acknowledged)
        data = os.pread(self._descriptor, want, self.acknowledged) if want > 0 else b""
        self._looked = self.acknowledged + len(data)
        if not self._lines:
            return data
        whole = data[: data.rfind(b"\n") + 1]
        if not whole and len(data) == size:
            return b" " * (size - 1) + b"\n"
        return whole

    def acknowledge(self, offset, sent):
        """The server has everything up to ``offset``; ``sent`` is where the last segment ended. An offset smaller than
        one before is believed too: the server lost something."""
        self.acknowledged = offset
        if offset != sent:
            self._looked = offset

    def unread(self):
        """What was read did not arrive: it counts as new again."""
        self._looked = min(self._looked, self.acknowledged)

    def punch(self):
        """Gives whole blocks that nobody needs any more back to the disk, in large steps: those the server has, and
        those behind the limit. Raises OSError where the file system cannot."""
        ends = [self.acknowledged]
        if self.is_full:
            ends.append(self._size)
        for index, end in enumerate(ends):
            end -= end % _BLOCK_BYTES
            if end - self._holes[index] >= PUNCH_BYTES:
                hole_punch(self._descriptor, self._holes[index], end)
                self._holes[index] = end

    @property
    def _size(self):
        return os.fstat(self._descriptor).st_size


class Spool:
    """All streams of a task, and the offsets the server has acknowledged (``spool/acks.json``)."""

    def __init__(self, task):
        self._acks_path = task.spool("acks.json")
        acks = json_read(self._acks_path)
        self._saved = acks if isinstance(acks, dict) else {}
        self.streams = {}
        for name in STREAMS:
            limit_bytes = task.log_limit_bytes if name == "output" else 0
            acknowledged = int(self._saved.get(name, 0))
            self.streams[name] = Stream(name, task.spool(name), acknowledged, limit_bytes)

    def __iter__(self):
        return iter(self.streams.values())

    def save(self):
        """Writes the acknowledged offsets down if the disk allows. Merely a shortcut for a later harness: the server
        knows them too."""
        acks = {stream.name: stream.acknowledged for stream in self}
        if acks != self._saved:
            try:
                json_write(self._acks_path, acks)
            except OSError:
                return
            self._saved = acks

    def punch(self):
        """Gives back what the server has. A later harness that reads a hole, because the offsets were not written down,
        is told by the server to go on behind it. Raises OSError where the file system cannot."""
        for stream in self:
            stream.punch()
