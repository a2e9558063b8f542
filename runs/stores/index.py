"""The line index of a log: where every 256th line begins, in a file beside it.

A header (bytes indexed, newlines among them, where the line after the last of them begins, checksums), then one
u64 for each 256 lines. It is extended from what its header says, so each byte of the log is looked at once, newlines
or not. Everything in it can be had again from the log: an index that is lost, torn, or not this log's is made anew.
"""

import contextlib
import fcntl
import os
import struct
from array import array
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

EVERY_LINES = 256

_HEADER = struct.Struct("<8sQQQII")
_MAGIC = b"thlines1"
_CHUNK_BYTES = 1024 * 1024


@dataclass(slots=True)
class LineIndex:
    """The lines of a log's first ``indexed_bytes``: ``line_count`` complete ones; the next begins at ``tail_start``.

    ``marks[k]`` is where line ``256 * k`` begins.
    """

    indexed_bytes: int
    line_count: int
    tail_start: int
    marks: array

    @classmethod
    def up_to_date(cls, log: Path, handle: int, size: int) -> "LineIndex":
        """The index of the first ``size`` bytes of ``log``, open as ``handle``; the file beside it is extended.

        Several processes may do this at once. An index file that cannot be written costs time, not correctness.
        """
        if size == 0:
            return cls(0, 0, 0, array("Q", [0]))
        try:
            file = os.open(index_path(log), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            index = cls(0, 0, 0, array("Q", [0]))
            index._extend(handle, size)
            return index
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            index, saved_marks = cls._load(file, handle)
            if index.indexed_bytes < size:
                index._extend(handle, size)
                with contextlib.suppress(OSError):
                    index._save(file, saved_marks)
            return index if index.indexed_bytes == size else index._cut(handle, size)
        finally:
            os.close(file)

    def mark_before_line(self, line: int) -> tuple[int, int]:
        """The nearest known line at or before ``line``, and where it begins."""
        place = min(line // EVERY_LINES, len(self.marks) - 1)
        return place * EVERY_LINES, self.marks[place]

    def mark_before_offset(self, offset: int) -> tuple[int, int]:
        """The nearest known line that begins at or before ``offset``, and where it begins."""
        place = bisect_right(self.marks, offset) - 1
        return place * EVERY_LINES, self.marks[place]

    @classmethod
    def _load(cls, file: int, handle: int) -> tuple["LineIndex", int]:
        """The index in ``file`` and how many of its marks are saved; an empty one when it does not fit the log."""
        empty = cls(0, 0, 0, array("Q", [0])), 0
        raw = os.pread(file, _HEADER.size, 0)
        if len(raw) != _HEADER.size:
            return empty
        magic, indexed_bytes, line_count, tail_start, marks_checksum, checksum = _HEADER.unpack(raw)
        if magic != _MAGIC or checksum != crc32(raw[:-4]) or indexed_bytes > os.fstat(handle).st_size:
            return empty
        marks = array("Q")
        wanted = (line_count // EVERY_LINES + 1) * marks.itemsize
        saved = os.pread(file, wanted, _HEADER.size)
        if len(saved) != wanted or crc32(saved) != marks_checksum:
            return empty
        marks.frombytes(saved)
        index = cls(indexed_bytes, line_count, tail_start, marks)
        return (index, len(marks)) if index._fits(handle) else empty

    def _fits(self, handle: int) -> bool:
        """Whether the last mark and the tail stand behind newlines of this log: an index of another one fails here."""
        ends = (self.marks[-1], self.tail_start)
        return all(end == 0 or os.pread(handle, 1, end - 1) == b"\n" for end in ends)

    def _extend(self, handle: int, size: int) -> None:
        """Looks at the bytes between ``indexed_bytes`` and ``size``."""
        while self.indexed_bytes < size:
            chunk = os.pread(handle, min(_CHUNK_BYTES, size - self.indexed_bytes), self.indexed_bytes)
            if not chunk:
                break
            self._take(chunk)

    def _take(self, chunk: bytes) -> None:
        last = chunk.rfind(b"\n")
        if last >= 0:
            to_mark = EVERY_LINES - self.line_count % EVERY_LINES
            found = chunk.count(b"\n")
            if found >= to_mark:
                self._mark(chunk, to_mark)
            self.line_count += found
            self.tail_start = self.indexed_bytes + last + 1
        self.indexed_bytes += len(chunk)

    def _mark(self, chunk: bytes, to_mark: int) -> None:
        """Notes where every 256th line begins; the first such is behind the ``to_mark``-th newline of ``chunk``."""
        place = -1
        passed = 0
        while (place := chunk.find(b"\n", place + 1)) >= 0:
            passed += 1
            if passed == to_mark:
                self.marks.append(self.indexed_bytes + place + 1)
                passed, to_mark = 0, EVERY_LINES

    def _cut(self, handle: int, size: int) -> "LineIndex":
        """The index of a shorter beginning: another process has indexed what came after our look at the size."""
        while len(self.marks) > 1 and self.marks[-1] > size:
            self.marks.pop()
        lines = (len(self.marks) - 1) * EVERY_LINES
        index = LineIndex(self.marks[-1], lines, self.marks[-1], self.marks)
        index._extend(handle, size)
        return index

    def _save(self, file: int, saved_marks: int) -> None:
        """Marks first, header last: a crash in between leaves marks that the old header does not count."""
        new = self.marks[saved_marks:]
        os.pwrite(file, new.tobytes(), _HEADER.size + saved_marks * self.marks.itemsize)
        facts = (self.indexed_bytes, self.line_count, self.tail_start, crc32(self.marks.tobytes()))
        head = _HEADER.pack(_MAGIC, *facts, 0)[:-4]
        os.pwrite(file, head + struct.pack("<I", crc32(head)), 0)


def index_path(log: Path) -> Path:
    """The file beside ``log`` that holds its line index."""
    return log.with_suffix(".lines")
