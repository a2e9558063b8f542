"""The colours of a line: which SGR codes are in force at a character. ECMA-48, section 8.3.117. Pure.

A pen is a tuple of SGR codes, one for each property that differs from the default, so that equal pens are equal
however they came about and a line carries no more escapes than its colours change.
"""

from itertools import groupby

#: The codes in force, as they are written: ``("1", "31")``. Colours of the long form stay one code: ``"38;5;208"``.
Pen = tuple[str, ...]

PLAIN: Pen = ()
RESET = "\x1b[0m"

#: An attribute's code, and the code that ends it.
_ENDS = {"1": "22", "2": "22", "3": "23", "4": "24", "5": "25", "7": "27", "8": "28", "9": "29"}
_FOREGROUND = {str(code) for code in (*range(30, 38), *range(90, 98))}
_BACKGROUND = {str(code) for code in (*range(40, 48), *range(100, 108))}


def after(pen: Pen, params: str) -> Pen:
    """The pen after ``CSI params m``. Codes that are unknown here change nothing."""
    if params in ("", "0"):
        return PLAIN
    if not all(character.isdigit() or character in ";:" for character in params):
        return pen
    codes = [str(int(code[:9] or "0")) for code in params.replace(":", ";").split(";")]
    while codes:
        code = codes.pop(0)
        if code in ("38", "48"):
            long, codes = _long_colour(code, codes)
            pen = _with(pen, long) if long else pen
        elif code == "0":
            pen = PLAIN
        elif code in ("39", "49"):
            pen = _without(pen, code)
        elif code in _ENDS or code in _FOREGROUND or code in _BACKGROUND:
            pen = _with(pen, code)
        else:
            pen = tuple(known for known in pen if _ENDS.get(known) != code)
    return pen


def painted(characters: list[str], pens: list[Pen]) -> str:
    """The characters with the escapes that give each its pen; a coloured end is followed by a reset."""
    parts: list[str] = []
    start = 0
    before = PLAIN
    for pen, cells in groupby(pens):
        end = start + sum(1 for _ in cells)
        if before:
            parts.append(RESET)
        if pen:
            parts.append(f"\x1b[{';'.join(pen)}m")
        parts.append("".join(characters[start:end]))
        start, before = end, pen
    if before:
        parts.append(RESET)
    return "".join(parts)


def _long_colour(code: str, rest: list[str]) -> tuple[str, list[str]]:
    """``38;5;n`` or ``38;2;r;g;b`` as one code, and the codes that follow it."""
    needed = {"5": 2, "2": 4}.get(rest[0] if rest else "", 0)
    if not needed or len(rest) < needed:
        return "", []
    return ";".join([code, *rest[:needed]]), rest[needed:]


def _property(code: str) -> str:
    """What the code decides: the foreground, the background, or an attribute of its own."""
    head = code.partition(";")[0]
    if head in _FOREGROUND or head in ("38", "39"):
        return "foreground"
    if head in _BACKGROUND or head in ("48", "49"):
        return "background"
    return head


def _without(pen: Pen, code: str) -> Pen:
    return tuple(known for known in pen if _property(known) != _property(code))


def _with(pen: Pen, code: str) -> Pen:
    return tuple(sorted((*_without(pen, code), code)))
