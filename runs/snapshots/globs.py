"""One line of an ignore file as a test of paths (https://git-scm.com/docs/gitignore).

The lines are uploaded by people, so the time of a match is bounded: it grows with the length of the pattern times that
of the path. A plain regular expression tries every way to share a name among its stars, and five of them stop a server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

#: Longer than any path that a snapshot takes.
MOST_CHARACTERS = 2048

_Name = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Pattern:
    """``keeps`` brings back what an earlier line left out. ``parts`` test one name each; None is any number of them."""

    keeps: bool
    folders_only: bool
    parts: tuple[_Name | None, ...]

    def matches(self, names: Sequence[str], *, is_folder: bool) -> bool:
        """Whether the path of these names is meant, itself and not by a folder above it."""
        return (is_folder or not self.folders_only) and _fits(self.parts, names)


def pattern_of(line: str) -> Pattern | None:
    """The pattern of a line; None for blank lines and comments. Raises ValueError for what is no pattern."""
    if len(line) > MOST_CHARACTERS:
        raise ValueError(f"{line[:40]!r}… has {len(line):,} characters; {MOST_CHARACTERS:,} are allowed.")
    text = re.sub(r"(?<!\\) +\Z", "", line)
    if not text or text.startswith("#"):
        return None
    keeps = text.startswith("!")
    text = text[1:] if keeps else text
    folders_only = text.endswith("/")
    text = text[:-1] if folders_only else text
    globs = text.removeprefix("/").split("/")
    if globs == [""]:
        return None
    parts: list[_Name | None] = [] if "/" in text else [None]
    parts += [None if glob == "**" else _name_test(glob) for glob in globs]
    if globs[-1] == "**":  # everything inside, of which there is at least one
        parts[-1:] = [_name_test("*"), None]
    return Pattern(keeps=keeps, folders_only=folders_only, parts=tuple(parts))


def _fits(parts: Sequence[_Name | None], names: Sequence[str]) -> bool:
    """Whether the parts cover the names. Of several places for what follows a None the first is as good as any."""
    part = name = 0
    any_at, tried = -1, 0
    while name < len(names):
        test = parts[part] if part < len(parts) else _nothing
        if test is None:
            any_at, tried = part, name
            part += 1
        elif test(names[name]):
            part += 1
            name += 1
        elif any_at >= 0:
            tried += 1
            part, name = any_at + 1, tried
        else:
            return False
    return all(test is None for test in parts[part:])


def _nothing(name: str) -> bool:
    return False


def _name_test(glob: str) -> _Name:
    """Between two stars the first place that fits is taken for good, by a lookahead whose find is then repeated."""
    head, *rest = _pieces(glob)
    source = head
    for number, piece in enumerate(rest[:-1]):
        source += f"(?=(?P<g{number}>.*?{piece}))(?P=g{number})"
    if rest:
        source += f".*{rest[-1]}"
    try:
        return re.compile(source, re.DOTALL).fullmatch
    except re.error as error:
        raise ValueError(f"{glob!r}: {error}") from error


def _pieces(glob: str) -> list[str]:
    """The regular expressions of what stands between the stars."""
    pieces = [""]
    at = 0
    while at < len(glob):
        sign = glob[at]
        at += 1
        if sign == "*":
            while glob[at : at + 1] == "*":
                at += 1
            pieces.append("")
        elif sign == "?":
            pieces[-1] += "."
        elif sign == "[" and (found := _set(glob, at)):
            source, at = found
            pieces[-1] += source
        elif sign == "\\":
            if at == len(glob):
                raise ValueError(f"{glob!r} ends with a backslash that escapes nothing.")
            pieces[-1] += re.escape(glob[at])
            at += 1
        else:
            pieces[-1] += re.escape(sign)
    return pieces


def _set(glob: str, at: int) -> tuple[str, int] | None:
    """The set of characters that begins at ``at``, and where it ends; None when it is not closed."""
    is_negated = glob[at : at + 1] in ("!", "^")
    at += is_negated
    begins_at, source = at, ""
    while at < len(glob):
        sign = glob[at]
        if sign == "]" and at > begins_at:
            return f"[{'^' if is_negated else ''}{source}]", at + 1
        if sign == "\\" and at + 1 < len(glob):
            at += 1
            sign = f"\\{glob[at]}" if not glob[at].isalnum() else glob[at]
        elif sign != "-":
            sign = re.escape(sign)
        source += sign
        at += 1
    return None
