"""The log store: append-only bytes by offset, lines by an index that mends itself."""

import multiprocessing
import os
import time

import pytest
from django.conf import settings
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from runs.stores import index as line_index
from runs.stores.index import index_path
from runs.stores.lines import resolve_line
from runs.stores.logs import (
    log_append,
    log_delete,
    log_lines,
    log_lines_from,
    log_path,
    log_read,
    log_size,
    log_tail,
    log_write,
)

STREAM = 7
per_example = hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def content():
    return log_read(STREAM, offset=0, size=1 << 30)


def test_bytes_arrive_in_order_and_once():
    assert log_append(STREAM, offset=0, data=b"hello ") == 6
    assert log_append(STREAM, offset=0, data=b"hello ") == 6
    assert log_append(STREAM, offset=3, data=b"lo world") == 11
    assert content() == b"hello world"


def test_a_gap_stores_nothing_and_answers_with_what_is_here():
    log_append(STREAM, offset=0, data=b"abc")
    assert log_append(STREAM, offset=5, data=b"xyz") == 3
    assert log_append(STREAM, offset=-1, data=b"xyz") == 3
    assert content() == b"abc"


def test_a_stream_that_never_spoke_is_empty():
    assert log_size(STREAM) == 0
    assert log_read(STREAM, offset=0, size=10) == b""
    page = log_lines(STREAM, first_line=0, count=10)
    assert (page.lines, page.total_lines, page.tail, page.to_bytes) == ([], 0, "", 0)


def test_the_files_are_the_servers_alone():
    log_write(STREAM, b"secret")
    assert log_path(STREAM).stat().st_mode & 0o777 == 0o600
    assert (settings.DATA_DIR / "logs").stat().st_mode & 0o777 == 0o700


def test_deleting_takes_the_index_along_and_can_be_repeated():
    log_write(STREAM, b"line\n")
    log_tail(STREAM, count=1)
    log_delete(STREAM)
    log_delete(STREAM)
    assert list(log_path(STREAM).parent.iterdir()) == []


@per_example
@given(st.binary(max_size=300), st.data())
def test_overlapping_and_repeated_pieces_make_the_same_bytes(data, draw):
    log_delete(STREAM)
    size = 0
    while size < len(data):
        offset = draw.draw(st.integers(0, min(len(data), size + 2)), label="offset")
        end = draw.draw(st.integers(offset, len(data)), label="end")
        size = log_append(STREAM, offset=offset, data=data[offset:end])
        assert content() == data[:size]
        if offset > size or end <= size:
            size = log_append(STREAM, offset=size, data=data[size : size + 7])
    assert content() == data


@per_example
@given(st.lists(st.binary(max_size=12), max_size=40).map(lambda lines: b"\n".join(lines)), st.data())
def test_splitting_the_bytes_anywhere_shows_the_same_lines(data, draw):
    log_delete(STREAM)
    place = 0
    while place < len(data):
        end = draw.draw(st.integers(place + 1, len(data)))
        log_write(STREAM, data[place:end])
        place = end
        if draw.draw(st.booleans()):
            log_tail(STREAM, count=1)
    *lines, rest = data.split(b"\n")
    page = log_lines(STREAM, first_line=0, count=1000)
    assert page.lines == [resolve_line(line) for line in lines]
    assert page.tail == resolve_line(rest, finished=False)
    assert page.to_bytes == len(data) - len(rest)


def append_many(process, lines):
    for number in range(lines):
        log_write(STREAM, f"{process} {number}\n".encode() * 3)


def test_processes_that_append_at_once_do_not_mix_their_bytes():
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=append_many, args=(process, 200)) for process in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    lines = content().decode().splitlines()
    assert len(lines) == 4 * 200 * 3
    assert all(lines[place] == lines[place + 1] == lines[place + 2] for place in range(0, len(lines), 3))
    for process in range(4):
        own = [line for line in lines[::3] if line.startswith(f"{process} ")]
        assert own == [f"{process} {number}" for number in range(200)]


def send_all(data):
    size = 0
    while size < len(data):
        size = log_append(STREAM, offset=max(0, size - 5), data=data[max(0, size - 5) : size + 97])


def test_two_senders_of_the_same_bytes_store_them_once():
    data = bytes(range(256)) * 40
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=send_all, args=(data,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert content() == data


@pytest.fixture
def million_lines():
    line = b"line %07d of a log that is long enough to need an index\n"
    for start in range(0, 1_000_000, 50_000):
        log_write(STREAM, b"".join(line % number for number in range(start, start + 50_000)))


def test_line_900_000_of_a_million_opens_at_once(million_lines):
    log_tail(STREAM, count=1)
    began = time.perf_counter()
    page = log_lines(STREAM, first_line=900_000, count=50)
    took_s = time.perf_counter() - began
    assert page.lines[0].startswith("line 0900000 ")
    assert len(page.lines) == 50
    assert page.total_lines == 1_000_000
    assert took_s < 0.25


def test_fifty_megabytes_without_a_newline_are_looked_at_once():
    piece = b"x" * 1_000_000
    began = time.perf_counter()
    for number in range(50):
        log_append(STREAM, offset=number * len(piece), data=piece)
        page = log_lines_from(STREAM, offset=0, most_bytes=100_000)
        assert page.lines == []
        assert page.to_bytes == 0
    assert time.perf_counter() - began < 10
    assert "bytes before this are not shown" in page.tail
    log_write(STREAM, b"\nnext")
    page = log_lines_from(STREAM, offset=0, most_bytes=100_000)
    assert page.to_bytes == 50_000_001
    assert page.tail == "next"
    assert len(page.lines[0]) < 9000


LINES = [f"line {number}" for number in range(2000)]


@pytest.fixture
def indexed():
    log_write(STREAM, "".join(line + "\n" for line in LINES).encode())
    assert log_lines(STREAM, first_line=1500, count=1).lines == ["line 1500"]
    return index_path(log_path(STREAM))


def whole_log():
    return log_lines(STREAM, first_line=0, count=5000).lines, log_lines(STREAM, first_line=1999, count=1).lines


@pytest.mark.parametrize("damage", ["lost", "torn", "emptied", "noise", "other log's", "header", "mark"])
def test_a_damaged_index_is_made_anew(indexed, damage):
    if damage == "lost":
        indexed.unlink()
    elif damage == "torn":
        os.truncate(indexed, 40)
    elif damage == "emptied":
        os.truncate(indexed, 0)
    elif damage == "noise":
        indexed.write_bytes(os.urandom(500))
    elif damage == "other log's":
        log_write(8, b"a much longer line than those\n" * 1500)
        log_tail(8, count=1)
        indexed.write_bytes(index_path(log_path(8)).read_bytes())
    else:
        raw = bytearray(indexed.read_bytes())
        raw[10 if damage == "header" else -9] ^= 0x01
        indexed.write_bytes(raw)
    lines, last = whole_log()
    assert lines == LINES
    assert last == ["line 1999"]


def test_an_index_that_is_behind_goes_on_from_where_it_was(indexed, monkeypatch):
    log_write(STREAM, b"one more\n")
    looked_at = []
    take = line_index.LineIndex._take
    monkeypatch.setattr(
        line_index.LineIndex, "_take", lambda self, chunk: (looked_at.append(len(chunk)), take(self, chunk))
    )
    assert log_tail(STREAM, count=1).lines == ["one more"]
    assert sum(looked_at) == len(b"one more\n")


def test_a_page_may_begin_anywhere_and_end_early(indexed):
    page = log_lines(STREAM, first_line=1990, count=100)
    assert page.first_line == 1990
    assert page.lines == LINES[1990:]
    assert log_lines(STREAM, first_line=5000, count=10).lines == []
    assert log_tail(STREAM, count=3).lines == LINES[-3:]


def test_reading_on_from_an_offset_gives_every_line_once(indexed):
    offset, lines, pages = 0, [], 0
    while offset < log_size(STREAM):
        page = log_lines_from(STREAM, offset=offset, most_bytes=1000)
        assert page.from_bytes == offset
        assert page.first_line == len(lines)
        lines += page.lines
        offset = page.to_bytes
        pages += 1
    assert lines == LINES
    assert pages > 20
