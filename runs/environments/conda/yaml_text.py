"""YAML as an environment file needs it, and no more: mappings, lists and words, each with its line. Pure.

Read from the parser's events, so nothing is constructed and nothing can grow: anchors and aliases, tags, a second
document, deep nesting and a key given twice are refused where they stand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

import yaml

if TYPE_CHECKING:
    from typing import TypeAlias

MOST_DEPTH = 8
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER = yaml.resolver.Resolver()
_TEXT = "tag:yaml.org,2002:str"
_NOTHING = "tag:yaml.org,2002:null"


class NoYaml(Exception):
    """The text cannot be read. ``line`` counts from 1; the words are the end of a sentence."""

    def __init__(self, line: int, words: str) -> None:
        super().__init__(words)
        self.line = line


@dataclass(frozen=True, slots=True)
class Word:
    """A scalar. ``kind`` is what YAML takes it for: ``str``, ``int``, ``float``, ``bool``, ``null``, ``timestamp``."""

    line: int
    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    line: int
    items: list[Value]


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys in their order, each with its line."""

    line: int
    items: dict[str, Value]
    lines: dict[str, int]


Value: TypeAlias = Union[Word, Sequence, Mapping]  # noqa: UP007


def yaml_read(text: str) -> Value | None:
    """The one document of ``text``; None when there is none. Raises NoYaml."""
    try:
        return _document(_events(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise NoYaml(line, _problem(error, text, line)) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise NoYaml(line, "holds a character that YAML does not allow. Remove it.") from error


def _events(text: str) -> Iterator[yaml.Event]:
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise NoYaml(_line(event), "has an anchor or an alias (& or *). Write the value itself where it is needed.")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise NoYaml(_line(event), f"has the tag {str(tag)[:60]!r}; only plain values can be used.")
        yield event


def _document(events: Iterator[yaml.Event]) -> Value | None:
    found: Value | None = None
    documents = 0
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise NoYaml(_line(event), "begins a second document (---). Keep one.")
        elif isinstance(event, (yaml.ScalarEvent, yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            found = _value(event, events, depth=0)
    return found


def _value(event: yaml.Event, events: Iterator[yaml.Event], *, depth: int) -> Value:
    if depth > MOST_DEPTH:
        raise NoYaml(_line(event), f"nests more than {MOST_DEPTH} levels deep.")
    if isinstance(event, yaml.ScalarEvent):
        return Word(_line(event), event.value, _kind(event))
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[Value] = []
        for inner in events:
            if isinstance(inner, yaml.SequenceEndEvent):
                break
            items.append(_value(inner, events, depth=depth + 1))
        return Sequence(_line(event), items)
    if isinstance(event, yaml.MappingStartEvent):
        return _mapping(event, events, depth=depth)
    raise NoYaml(_line(event), "cannot be read as YAML.")


def _mapping(event: yaml.MappingStartEvent, events: Iterator[yaml.Event], *, depth: int) -> Mapping:
    found = Mapping(_line(event), {}, {})
    for inner in events:
        if isinstance(inner, yaml.MappingEndEvent):
            break
        key = _value(inner, events, depth=depth + 1)
        if not isinstance(key, Word):
            raise NoYaml(key.line, "has a key that is no word.")
        if key.text in found.items:
            raise NoYaml(
                key.line, f"gives {key.text[:60]!r} a second time, after line {found.lines[key.text]}. Keep one."
            )
        found.items[key.text] = _value(next(events), events, depth=depth + 1)
        found.lines[key.text] = key.line
    return found


def _kind(event: yaml.ScalarEvent) -> str:
    tag = _RESOLVER.resolve(yaml.ScalarNode, event.value, event.implicit)
    return "null" if tag == _NOTHING else str(tag or _TEXT).rpartition(":")[2]


def _problem(error: yaml.MarkedYAMLError, text: str, line: int) -> str:
    lines = text.split("\n")
    written = lines[line - 1] if line <= len(lines) else ""
    if "\t" in written[: len(written) - len(written.lstrip(" \t-"))]:
        return "is indented with a tab, which YAML does not allow. Use spaces."
    return f"cannot be read as YAML: {error.problem or error.context}."


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
