"""What is shown of a raw line, against a plain model of a terminal's row."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.stores.lines import MAX_COLUMN, RAW_BYTES, SHOWN_BYTES, resolve_line

COLOURED = re.compile(r"\x1b\[[0-9;]+m")
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")

MOVES = st.sampled_from([b"\r", b"\b", b"\x1b[K", b"\x1b[0K", b"\x1b[1K", b"\x1b[2K", b"\t"])
STEPS = st.builds(lambda n, final: b"\x1b[%d%s" % (n, final), st.integers(0, 12), st.sampled_from([b"C", b"D", b"G"]))
COLOURS = st.builds(lambda n: b"\x1b[%dm" % n, st.sampled_from([0, 1, 4, 22, 31, 32, 39, 44, 49, 97]))
WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8).map(str.encode)
LINES = st.lists(st.one_of(MOVES, STEPS, COLOURS, WORDS), max_size=30).map(b"".join)


def plain(line):
    return COLOURED.sub("", line)


def terminal(raw):
    """The row of a terminal, one character after another, without colours."""
    cells, column = {}, 0
    text = raw.decode()
    while text:
        escape = re.match(r"\x1b\[(\d*)([A-Za-z])", text)
        if escape:
            text = text[escape.end() :]
            number, final = int(escape[1] or 0), escape[2]
            if final == "K":
                last = max(cells, default=-1)
                for place in range(last + 1):
                    if number == 0 and place >= column:
                        cells.pop(place, None)
                    elif number == 1 and place <= column:
                        cells[place] = " "
                    elif number == 2:
                        cells.pop(place, None)
            elif final == "C":
                column += max(1, number)
            elif final == "D":
                column = max(0, column - max(1, number))
            elif final == "G":
                column = max(1, number) - 1
            continue
        character, text = text[0], text[1:]
        if character == "\r":
            column = 0
        elif character == "\b":
            column = max(0, column - 1)
        else:
            cells[column] = character
            column += 1
    return "".join(cells.get(place, " ") for place in range(max(cells, default=-1) + 1))


@given(LINES)
def test_a_line_looks_as_it_does_on_a_terminal(raw):
    assert plain(resolve_line(raw)) == terminal(raw)


@given(st.binary(max_size=400))
def test_nothing_but_tabs_and_colours_is_left_of_control_characters(raw):
    assert not CONTROL.search(COLOURED.sub("", resolve_line(raw)))


@given(st.one_of(LINES, st.binary(max_size=200)))
def test_resolving_what_was_resolved_changes_nothing(raw):
    once = resolve_line(raw)
    assert resolve_line(once.encode()) == once


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=200))
def test_plain_text_stays_as_it_is(text):
    assert resolve_line(text.encode()) == text


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20), st.data())
def test_an_unfinished_line_never_shows_half_a_character(text, data):
    raw = text.encode()
    cut = data.draw(st.integers(0, len(raw)))
    assert text.startswith(resolve_line(raw[:cut], finished=False))


def keras_bar(batches):
    """An epoch's bar with the bytes that Keras 3 writes: it steps back over the old bar with backspaces."""
    out, before = b"", 0
    for batch in range(1, batches + 1):
        done = 20 * batch // batches
        bar = (
            "\x1b[1m{}/{}\x1b[0m \x1b[32m{}\x1b[0m\x1b[37m{}\x1b[0m \x1b[1m0s\x1b[0m 2ms/step - loss: 0.{:04d}".format(
                batch, batches, "━" * done, "━" * (20 - done), 5000 - batch
            )
        )
        out += b"\b" * before + b"\r" + bar.encode()
        before = len(plain(bar))
    return out


def test_the_progress_bar_of_keras_becomes_its_last_picture():
    raw = keras_bar(93)
    assert len(raw) > 10_000
    line = resolve_line(raw)
    assert plain(line) == "93/93 " + "━" * 20 + " 0s 2ms/step - loss: 0.4907"
    assert line.startswith("\x1b[1m93/93\x1b[0m \x1b[32m━")
    assert resolve_line(raw) == resolve_line(raw[-400:][raw[-400:].index(b"\r") :])


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"a\x1b]0;a window's title\x07b", "ab"),
        (b"a\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\b", "alinkb"),
        (b"a\x1bPdevice\x1b\\b\x1b(Bc\x1b=d\x1b7e", "abcde"),
        (b"one\x1b[2J\x1b[H\x1b[3A\x1b[?25ltwo", "onetwo"),
        (b"cut \x1b[3", "cut "),
        (b"cut \x1b", "cut "),
        (b"nul\x00bell\x07form\x0c", "nulbellform"),
        (b"half \xe2\x94", "half \ufffd"),
        (b"\xff\xfe broken \xc3(", "\ufffd\ufffd broken \ufffd("),
        ("c1 \x9b31m".encode(), "c1 31m"),
        (b"done\r", "done"),
        (b"<b>&amp;</b>", "<b>&amp;</b>"),
    ],
)
def test_odd_bytes_become_readable(raw, shown):
    assert resolve_line(raw) == shown


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"\x1b[31mred\x1b[0m plain", "\x1b[31mred\x1b[0m plain"),
        (b"\x1b[1;31mboth\x1b[22mred\x1b[39mnone", "\x1b[1;31mboth\x1b[0m\x1b[31mred\x1b[0mnone"),
        (b"\x1b[38;5;208mlong\x1b[m", "\x1b[38;5;208mlong\x1b[0m"),
        (b"\x1b[48;2;1;2;3mtrue\x1b[0m", "\x1b[48;2;1;2;3mtrue\x1b[0m"),
        (b"\x1b[31mred stays to the end", "\x1b[31mred stays to the end\x1b[0m"),
        (b"\x1b[31mred\r\x1b[32mg", "\x1b[32mg\x1b[0m\x1b[31med\x1b[0m"),
        (b"\x1b[38;5mbroken", "broken"),
        (b"\x1b[31m\x1b[0m", ""),
    ],
)
def test_colours_stay_with_the_characters_they_coloured(raw, shown):
    assert resolve_line(raw) == shown


def test_a_long_line_is_cut_and_says_how_much_more_there_is():
    line = resolve_line(b"x" * (SHOWN_BYTES + 1234))
    assert line == "x" * SHOWN_BYTES + " [1,234 bytes more]"
    assert len(resolve_line("é".encode() * SHOWN_BYTES).encode()) < SHOWN_BYTES + 40


def test_of_a_huge_line_the_last_part_is_resolved():
    line = resolve_line(b"y" * RAW_BYTES + b"\r" + b"z" * 10)
    assert plain(line) == f"[{RAW_BYTES:,} bytes before this are not shown] " + "z" * 10


def test_a_cursor_far_to_the_right_fills_no_memory():
    assert len(resolve_line(b"\x1b[999999999Cx\x1b[99999999999999999999Cy")) <= MAX_COLUMN + 2


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "piece", [b"\x1b", b"\x1b]", b"\x1b[1", b"a\x1b[1000Cb\r\x1b[K", b"\x1b[31ma\b", b"x\x1b[1K", b"\xc2\x80", b"\x1bP"]
)
def test_no_bytes_take_long(piece):
    resolve_line(piece * (RAW_BYTES // len(piece)))
