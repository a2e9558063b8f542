"""The line discipline: what a terminal would show of one line of raw output. Pure.

Progress bars are written with carriage returns, backspaces and erase sequences, to a file as to a screen (Keras writes
18,130 bytes for four useful lines). The store keeps the raw bytes; this module makes a readable line of them. One
character takes one column, however wide it is drawn, because the scripts that step back count characters.

Understood: CR, BS, and CSI K (erase in line), G (column), C and D (right, left), m (colours, kept with the characters
that they coloured). Tabs stay. Every other control character and escape sequence is dropped.
"""

import re

from runs.stores import colours

#: More resolved text than this is not shown of one line.
SHOWN_BYTES = 8 * 1024
#: Of a longer raw line only the last part is resolved.
RAW_BYTES = 256 * 1024
#: As wide as any terminal: the cursor is not moved further right beyond what is written, nor erased from there to the
#: line's start. It bounds the work that a few bytes can ask for.
MAX_COLUMN = 1024

_TOKEN = re.compile(
    r"(?P<text>[^\x00-\x08\x0a-\x1f\x7f-\x9f]+)"
    r"|\x1b\[(?P<params>[0-?]*)[ -/]*(?P<final>[@-~])"
    r"|(?:\x1b[\]PX^_]).*?(?:\x07|\x1b\\|$)"
    r"|\x1b[ -/]*[0-Z\\`-~]"
    r"|\x1b\[[0-?]*[ -/]*"
    r"|(?P<control>[\x00-\x1f\x7f-\x9f])",
    re.DOTALL,
)
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]|\xc2[\x80-\x9f]")


def resolve_line(raw: bytes, *, skipped_bytes: int = 0, finished: bool = True) -> str:
    """One line as text without control characters other than tabs and ``ESC [ ... m``.

    ``raw`` is the line without its newline; ``skipped_bytes`` says how much of its beginning was not handed over.
    Invalid UTF-8 becomes U+FFFD; of an unfinished line (``finished`` false) a character that is still incomplete at
    the end is left out. Text over 8 KB is cut and says how many bytes more there are.
    """
    if len(raw) > RAW_BYTES:
        raw, skipped_bytes = _last_part(raw, skipped_bytes)
    if not finished:
        raw = _complete(raw)
    note = f"[{skipped_bytes:,} bytes before this are not shown] " if skipped_bytes else ""
    text = raw.decode("utf-8", "replace")
    return note + _shown(_resolve(text) if _CONTROL.search(raw) else text)


def _last_part(raw: bytes, skipped_bytes: int) -> tuple[bytes, int]:
    """The last 256 KB, from their first carriage return when they have one: there a progress bar begins anew."""
    start = len(raw) - RAW_BYTES
    fresh = raw.find(b"\r", start, len(raw) - 1)
    if fresh >= 0:
        start = fresh
    while start < len(raw) and raw[start] & 0xC0 == 0x80:
        start += 1
    return raw[start:], skipped_bytes + start


def _complete(raw: bytes) -> bytes:
    """``raw`` without an incomplete UTF-8 sequence at its end."""
    for back in range(1, min(4, len(raw) + 1)):
        byte = raw[-back]
        if byte & 0xC0 == 0x80:
            continue
        needed = 2 if byte & 0xE0 == 0xC0 else 3 if byte & 0xF0 == 0xE0 else 4 if byte & 0xF8 == 0xF0 else 1
        return raw[:-back] if needed > back else raw
    return raw


def _resolve(text: str) -> str:
    """Plays ``text`` on one row of cells; each cell is a character and the pen it was written with."""
    characters: list[str] = []
    pens: list[colours.Pen] = []
    pen: colours.Pen = colours.PLAIN
    column = 0
    for token in _TOKEN.finditer(text):
        run, final, control = token["text"], token["final"], token["control"]
        if run is not None:
            end = column + len(run)
            if column > len(characters):
                pens.extend([colours.PLAIN] * (column - len(characters)))
                characters.extend(" " * (column - len(characters)))
            characters[column:end] = run
            pens[column:end] = [pen] * len(run)
            column = end
        elif control == "\r":
            column = 0
        elif control == "\b":
            column = max(0, column - 1)
        elif final == "m":
            pen = colours.after(pen, token["params"])
        elif final == "K":
            _erase(characters, pens, column, token["params"])
        elif final in ("C", "D", "G"):
            column = _moved(column, final, token["params"], len(characters))
    return colours.painted(characters, pens)


def _erase(characters: list[str], pens: list[colours.Pen], column: int, params: str) -> None:
    """CSI K: from the cursor to the end (0), from the start to the cursor (1), everything (2)."""
    if params in ("", "0"):
        del characters[column:], pens[column:]
    elif params == "1" and column < MAX_COLUMN:
        end = min(column + 1, len(characters))
        characters[:end] = " " * end
        pens[:end] = [colours.PLAIN] * end
    elif params == "2":
        characters.clear()
        pens.clear()


def _moved(column: int, final: str, params: str, written: int) -> int:
    number = int(params) if params.isascii() and params.isdigit() and len(params) < 10 else None
    if number is None and params:
        return column
    steps = max(1, number or 0)
    if final == "D":
        return max(0, column - steps)
    target = column + steps if final == "C" else steps - 1
    return min(target, max(written, MAX_COLUMN))


def _shown(text: str) -> str:
    """``text``, or its first 8 KB, never cut within a character or an escape, and how much more there is."""
    if len(text) * 4 <= SHOWN_BYTES or len(encoded := text.encode()) <= SHOWN_BYTES:
        return text
    head = _complete(encoded[:SHOWN_BYTES])
    escape = head.rfind(b"\x1b")
    if escape >= 0 and b"m" not in head[escape:]:
        head = head[:escape]
    end = colours.RESET if b"\x1b" in head else ""
    return f"{head.decode()}{end} [{len(encoded) - len(head):,} bytes more]"
