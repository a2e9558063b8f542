"""``environment.yml`` of a snapshot: its channels, its conda packages, its pip list. Pure.

Format: https://docs.conda.io/projects/conda/en/stable/user-guide/tasks/manage-environments.html. The environment's
name and prefix are the platform's own affair and are passed over; anything else that is not known is refused, with its
line.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from runs.environments.conda.channels import MOST_CHANNELS, channel_problem
from runs.environments.conda.specs import CondaSpec, conda_spec
from runs.environments.conda.yaml_text import Mapping, NoYaml, Sequence, Value, Word, yaml_read
from runs.environments.requirements import Read, Requirements, requirement_lines_read
from runs.errors import EnvironmentFailed
from runs.spec import path_inside

MOST_BYTES = 250_000
MOST_PACKAGES = 2_000
_MOST_PROBLEMS = 20
_PASSED_OVER = {
    "name": "the environment's name is passed over: the platform names environments by their content.",
    "prefix": "the prefix is passed over: the platform chooses the place of an environment.",
}
_KNOWN = ("name", "channels", "dependencies", "prefix")


@dataclass(slots=True, kw_only=True)
class CondaFile:
    """What the file asks for. ``packages`` have the place of each, such as ``environment.yml:4``; ``pip`` is what its
    pip list asks for; ``notes`` are sentences worth knowing, ``problems`` those that stand in the way."""

    channels: list[str] = field(default_factory=list)
    packages: list[tuple[CondaSpec, str]] = field(default_factory=list)
    pip: Requirements = field(default_factory=Requirements)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def conda_file_read(path: str, read: Read, *, allow_urls: bool = False) -> CondaFile:
    """Everything that the file at ``path`` of a snapshot asks for, its problems included; never raises."""
    reader = _Reader(path, read, allow_urls=allow_urls)
    reader.run()
    return reader.found


class _Reader:
    def __init__(self, path: str, read: Read, *, allow_urls: bool) -> None:
        self.found = CondaFile()
        self._path = path
        self._read = read
        self._allow_urls = allow_urls
        self._count = 0

    def run(self) -> None:
        text = self._text()
        if text is None:
            return
        try:
            document = yaml_read(text)
        except NoYaml as error:
            self._refuse(error.line, str(error))
            return
        if not isinstance(document, Mapping):
            self._refuse(1, "has no mapping. A conda file has lines such as channels: and dependencies:.")
            return
        for key, value in document.items.items():
            line = document.lines[key]
            if key == "channels":
                self._channels(value, line)
            elif key == "dependencies":
                self._dependencies(value, line)
            elif key in _PASSED_OVER:
                self.found.notes.append(f"{self._path}:{line}: {_PASSED_OVER[key]}")
            elif key == "variables":
                self._refuse(
                    line, "sets variables. Set them in the form, under environment variables, and remove this."
                )
            else:
                self._refuse(line, f"has the key {key[:60]!r}, which is not known. Known: {', '.join(_KNOWN)}.")
        if "dependencies" not in document.items:
            self._refuse(1, "has no dependencies. List the packages under dependencies:.")

    def _text(self) -> str | None:
        clean = path_inside(self._path)
        if clean is None:
            self._problem(f"{self._path!r} lies outside the source folder. Give a path inside it.")
            return None
        content = self._read(clean, MOST_BYTES + 1)
        if content is None:
            self._problem(f"{self._path} is not in the source folder.")
            return None
        if len(content) > MOST_BYTES:
            self._problem(f"{self._path} is too large: a conda file may have {MOST_BYTES:,} bytes.")
            return None
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            self._refuse(line, f"is not UTF-8 text: byte {error.start} cannot be read. Save the file as UTF-8.")
            return None

    def _channels(self, value: Value, line: int) -> None:
        for name, at in self._words(value, line, what="channels", like="- conda-forge"):
            wrong = channel_problem(name)
            if wrong:
                self._refuse(at, f"names {name[:120]!r}, which {wrong}")
            elif len(self.found.channels) < MOST_CHANNELS:
                self.found.channels.append(name)
            else:
                self._refuse(at, f"names one channel too many: {MOST_CHANNELS} can be used.")

    def _dependencies(self, value: Value, line: int) -> None:
        if not isinstance(value, Sequence):
            self._refuse(line, "has no list under dependencies. Write one package a line, such as - numpy.")
            return
        has_pip = False
        for item in value.items:
            if isinstance(item, Mapping):
                if list(item.items) != ["pip"] or has_pip:
                    self._refuse(item.line, "has a mapping that is not the one pip: list among the dependencies.")
                    continue
                has_pip = True
                self._pip(item.items["pip"], item.line)
            else:
                self._package(item)

    def _package(self, item: Value) -> None:
        text = self._word(item, what="dependencies", like="- numpy")
        if text is None or not self._counts(item.line):
            return
        try:
            self.found.packages.append((conda_spec(text), f"{self._path}:{item.line}"))
        except EnvironmentFailed as error:
            self._refuse(item.line, f"asks for {error}")

    def _pip(self, value: Value, line: int) -> None:
        words = self._words(value, line, what="pip", like="- scikit-learn")
        lines = [(text, at) for text, at in words if self._counts(at)]
        self.found.pip = requirement_lines_read(
            path_inside(self._path) or self._path, lines, self._read, allow_urls=self._allow_urls
        )
        for problem in self.found.pip.problems:
            self._problem(problem)

    def _words(self, value: Value, line: int, *, what: str, like: str) -> list[tuple[str, int]]:
        if not isinstance(value, Sequence):
            self._refuse(line, f"has no list under {what}. Write one a line, such as {like}.")
            return []
        pairs = ((self._word(item, what=what, like=like), item.line) for item in value.items)
        return [(text, at) for text, at in pairs if text is not None]

    def _word(self, value: Value, *, what: str, like: str) -> str | None:
        if isinstance(value, Word) and value.kind == "str" and value.text.strip():
            return value.text.strip()
        shown = f"the {value.kind} {value.text[:60]!r}" if isinstance(value, Word) else "a list or a mapping"
        self._refuse(value.line, f"has {shown} under {what}, where a text is due, such as {like}.")
        return None

    def _counts(self, line: int) -> bool:
        self._count += 1
        if self._count == MOST_PACKAGES + 1:
            self._refuse(line, f"names one package too many: a conda file may name {MOST_PACKAGES:,}.")
        return self._count <= MOST_PACKAGES

    def _refuse(self, line: int, words: str) -> None:
        self._problem(f"{self._path}:{line} {words}")

    def _problem(self, sentence: str) -> None:
        if len(self.found.problems) < _MOST_PROBLEMS:
            self.found.problems.append(sentence)
