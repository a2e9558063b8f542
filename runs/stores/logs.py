"""Logs: one append-only file of raw bytes a stream. Its size is the truth, the byte offset the only cursor.

``DATA_DIR/logs/<stream id mod 256>/<stream id>.log``, the line index beside it as ``.lines`` (``runs.stores.index``).
Writers of one stream, in whatever process, take turns by a lock on the file. A write that is cut short by a crash
leaves a beginning of its bytes, which counts as received; the sender goes on from there.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from runs.stores.index import LineIndex, index_path
from runs.stores.lines import RAW_BYTES, resolve_line

#: How often an append brings the line index up to date: whenever the file grows over a multiple of this.
_INDEX_EVERY_BYTES = 8 * 1024 * 1024
_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePage:
    """Complete lines ``first_line`` (from 0) and following, resolved; they are the bytes ``from_bytes`` to
    ``to_bytes`` of the stream. ``tail`` is the unfinished last line when the page reaches it, else empty;
    ``total_lines`` counts the complete lines and ``size_bytes`` the bytes of the whole stream at that moment."""

    first_line: int
    lines: list[str]
    total_lines: int
    from_bytes: int
    to_bytes: int
    tail: str
    size_bytes: int


def log_path(stream_id: int) -> Path:
    """The file of a stream. It appears with the first byte."""
    return Path(settings.DATA_DIR) / "logs" / f"{stream_id % 256:02x}" / f"{int(stream_id)}.log"


def log_size(stream_id: int) -> int:
    """How many bytes of the stream are here: the offset at which the next append begins."""
    try:
        return log_path(stream_id).stat().st_size
    except FileNotFoundError:
        return 0


def log_append(stream_id: int, *, offset: int, data: bytes) -> int:
    """Stores the bytes ``offset`` and following of a stream and returns its size after that.

    Idempotent: what is here already is passed over. Bytes beyond a gap are not stored; the smaller size says so.
    """
    if not data or offset < 0:
        return log_size(stream_id)
    with _locked(stream_id) as (handle, size):
        if not offset <= size < offset + len(data):
            return size
        return _write(handle, stream_id, size, memoryview(data)[size - offset :])


def log_write(stream_id: int, data: bytes) -> int:
    """Appends at the stream's end, for a source that is its only sender, and returns the size after that."""
    if not data:
        return log_size(stream_id)
    with _locked(stream_id) as (handle, size):
        return _write(handle, stream_id, size, memoryview(data))


def log_read(stream_id: int, *, offset: int, size: int) -> bytes:
    """Up to ``size`` bytes from ``offset``; empty at the end or when nothing was ever stored."""
    try:
        handle = os.open(log_path(stream_id), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        return os.pread(handle, max(0, size), max(0, offset))
    finally:
        os.close(handle)


def log_lines(stream_id: int, *, first_line: int, count: int) -> LinePage:
    """``count`` lines from line ``first_line`` (from 0), fewer at the end. The index makes any line equally near."""
    with LogReader(stream_id) as reader:
        first = min(max(0, first_line), reader.index.line_count)
        return reader.page(first, reader.offset_of(first), most_lines=count)


def log_tail(stream_id: int, *, count: int) -> LinePage:
    """The last ``count`` complete lines, and the unfinished one."""
    with LogReader(stream_id) as reader:
        first = max(0, reader.index.line_count - max(0, count))
        return reader.page(first, reader.offset_of(first), most_lines=count)


def log_lines_from(stream_id: int, *, offset: int, most_bytes: int) -> LinePage:
    """The lines after the byte ``offset``, up to ``most_bytes`` of resolved text written as JSON, at least one.

    What follows an ``offset`` within a line counts as a line; an ``offset`` beyond the end is the end.
    """
    with LogReader(stream_id) as reader:
        first, start = reader.line_at(offset)
        return reader.page(first, max(start, min(offset, reader.size)), most_bytes=most_bytes)


def log_delete(stream_id: int) -> None:
    """Removes a stream's file and index. Idempotent."""
    path = log_path(stream_id)
    path.unlink(missing_ok=True)
    index_path(path).unlink(missing_ok=True)


class LogReader:
    """A log opened for reading at one moment: later appends are not seen. Brings the line index up to date."""

    def __init__(self, stream_id: int) -> None:
        path = log_path(stream_id)
        try:
            self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._handle = -1
        self.size = os.fstat(self._handle).st_size if self._handle >= 0 else 0
        self.index = LineIndex.up_to_date(path, self._handle, self.size)

    def __enter__(self) -> "LogReader":
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle >= 0:
            os.close(self._handle)

    def offset_of(self, line: int) -> int:
        """Where line ``line`` begins; ``line`` may be the number of lines: then where the unfinished one begins."""
        if line >= self.index.line_count:
            return self.index.tail_start
        known, offset = self.index.mark_before_line(line)
        for _ in range(line - known):
            offset = self._line_end(offset)
        return offset

    def line_at(self, offset: int) -> tuple[int, int]:
        """The line in which the byte ``offset`` lies, and where it begins."""
        if offset >= self.index.tail_start:
            return self.index.line_count, self.index.tail_start
        line, start = self.index.mark_before_offset(max(0, offset))
        while (end := self._line_end(start)) <= offset:
            line, start = line + 1, end
        return line, start

    def page(
        self, first_line: int, start: int, *, most_lines: int | None = None, most_bytes: int | None = None
    ) -> LinePage:
        """The complete lines from ``first_line``, which begins at ``start``."""
        lines: list[str] = []
        position, shown_bytes = start, 0
        while position < self.index.tail_start and (most_lines is None or len(lines) < most_lines):
            end = self._line_end(position)
            text = self._text(position, end - 1)
            shown_bytes += len(json.dumps(text, ensure_ascii=False).encode()) + 1
            if most_bytes is not None and lines and (shown_bytes > most_bytes or end - start > 4 * most_bytes):
                break
            lines.append(text)
            position = end
        at_end = position >= self.index.tail_start
        tail = self._text(position, self.size, finished=False) if at_end and self.size > position else ""
        return LinePage(
            first_line=first_line,
            lines=lines,
            total_lines=self.index.line_count,
            from_bytes=start,
            to_bytes=position,
            tail=tail,
            size_bytes=self.size,
        )

    _window: bytes = b""
    _window_start: int = 0

    def _bytes(self, start: int) -> tuple[bytes, int]:
        """A window of the file that holds the byte ``start``, and the place of that byte in it."""
        place = start - self._window_start
        if not 0 <= place < len(self._window):
            self._window = os.pread(self._handle, min(_CHUNK_BYTES, self.size - start), start)
            self._window_start, place = start, 0
        return self._window, place

    def _line_end(self, start: int) -> int:
        """The offset after the newline that ends the line holding the byte ``start``."""
        while start < self.size:
            window, place = self._bytes(start)
            if not window:
                break
            newline = window.find(b"\n", place)
            if newline >= 0:
                return self._window_start + newline + 1
            start = self._window_start + len(window)
        return self.size

    def _text(self, start: int, end: int, *, finished: bool = True) -> str:
        """The bytes ``start`` to ``end``, one line, resolved; only the last part of a very long one is read."""
        begin = max(start, end - RAW_BYTES)
        place = begin - self._window_start
        if place >= 0 and place + end - begin <= len(self._window):
            raw = self._window[place : place + end - begin]
        else:
            raw = os.pread(self._handle, end - begin, begin)
        return resolve_line(raw, skipped_bytes=begin - start, finished=finished)


@contextmanager
def _locked(stream_id: int) -> Iterator[tuple[int, int]]:
    """The stream's file, ours alone for the moment, and its size."""
    path = log_path(stream_id)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    try:
        handle = os.open(path, flags, 0o600)
    except FileNotFoundError:
        _make_shard(path.parent)
        handle = os.open(path, flags, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle, os.fstat(handle).st_size
    finally:
        os.close(handle)


def _write(handle: int, stream_id: int, start: int, data: memoryview) -> int:
    position = start
    while data:
        written = os.pwrite(handle, data, position)
        position += written
        data = data[written:]
    if start // _INDEX_EVERY_BYTES != position // _INDEX_EVERY_BYTES:
        LineIndex.up_to_date(log_path(stream_id), handle, position)
    return position


def _make_shard(folder: Path) -> None:
    """One of 256 folders, so that none grows too large to list."""
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
