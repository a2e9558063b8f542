"""Streams are read by offset: line streams in whole lines, and never the same byte twice."""

import pytest

from trainhouse.harness.spool import Stream


@pytest.fixture
def points(tmp_path):
    return tmp_path / "points"


def stream_of(path, **options):
    return Stream(path.name, str(path), options.pop("acknowledged", 0), **options)


def test_a_line_stream_gives_whole_lines_and_looks_again_only_when_it_grew(points):
    points.write_bytes(b"one\ntwo\nthr")
    stream = stream_of(points)

    assert stream.read(1000) == b"one\ntwo\n"
    stream.acknowledge(8, 8)
    assert not stream.grew
    points.write_bytes(b"one\ntwo\nthree\n")
    assert stream.grew
    assert stream.read(1000) == b"three\n"


def test_what_did_not_arrive_is_read_again(points):
    points.write_bytes(b"one\n")
    stream = stream_of(points)
    stream.read(1000)
    assert not stream.grew
    stream.unread()

    assert stream.grew
    assert stream.read(1000) == b"one\n"


def test_a_line_too_long_to_travel_is_blanked_and_the_next_one_is_whole(points):
    points.write_bytes(b"x" * 250 + b"\nnext\n")
    stream = stream_of(points)
    got = b""
    while stream.grew:
        piece = stream.read(100)
        got += piece
        stream.acknowledge(stream.acknowledged + len(piece), stream.acknowledged + len(piece))

    assert len(got) == 256
    lines = [line for line in got.split(b"\n") if line.strip()]
    assert lines[-1] == b"next"
    assert b"x" * 250 not in got


def test_a_log_stream_gives_bytes_as_they_come(tmp_path):
    (tmp_path / "output").write_bytes(b"half a li")
    stream = stream_of(tmp_path / "output")

    assert stream.read(6) == b"half a"
    assert stream.grew


def test_an_acknowledged_offset_behind_the_file_reads_as_nothing(points):
    stream = stream_of(points, acknowledged=100)

    assert not stream.grew
    assert stream.read(1000) == b""
