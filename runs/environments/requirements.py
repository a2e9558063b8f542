"""Requirements files of a snapshot, read as pip reads them. Pure.

Format: https://pip.pypa.io/en/stable/reference/requirements-file-format/. What would choose another index, or reach
outside the snapshot, is refused with the file and the line.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from packaging.requirements import InvalidRequirement, Requirement

from runs.environments.sources import Source, repository_of, repository_read, source_read
from runs.spec import address_problem, path_inside, reason_of

#: Of all files that one run reads, together.
MOST_BYTES = 1_000_000
MOST_LINES = 5_000
#: So many files may include one another in a chain.
MOST_DEPTH = 20
#: Packages from files of the source that one run installs.
MOST_SOURCES = 50
#: Of one requirement, its hashes not counted.
MOST_CHARACTERS = 2_000
_MOST_PROBLEMS = 20
_SHOWN_CHARACTERS = 120

#: ``read(path, size)`` gives up to ``size`` bytes of a file of the snapshot, None when there is no such file.
Read = Callable[[str, int], "bytes | None"]

_COMMENT = re.compile(r"(?:^|\s)#.*$")
_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")
_HASH_OPTION = re.compile(r"\s--hash(?:=|\s+)(\S+)")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_OTHER_OPTION = re.compile(r"\s(--?[A-Za-z][\w-]*)")
_VCS = re.compile(r"(?:git|hg|svn|bzr)\+|git@", re.IGNORECASE)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|file:", re.IGNORECASE)
_LOCAL = re.compile(r"^[./~]|^[\w.-]+/|\.(?:whl|zip|tar\.gz|tgz|tar\.bz2|tar\.xz)$", re.IGNORECASE)

_INCLUDES = {"-r": "-r", "--requirement": "-r", "-c": "-c", "--constraint": "-c"}
_INDEX = frozenset(
    {"-i", "--index-url", "--pypi-url", "--extra-index-url", "--no-index", "-f", "--find-links", "--trusted-host"}
)
_EDITABLE = re.compile(r"(?:-e|--editable(?=[\s=]|$))[\s=]*(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One requirement with the place where it is asked for: ``requirements.txt:3``. ``hashes`` are ``sha256:…``."""

    requirement: Requirement
    where: str
    hashes: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Requirements:
    """What a file and everything that it includes ask for. ``problems`` are sentences, each beginning with its
    place."""

    requirements: list[Asked] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    constraints: list[Asked] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def requirements_read(path: str, read: Read, *, allow_urls: bool = False) -> Requirements:
    """Everything that the file at ``path`` of a snapshot asks for, its problems included; never raises.

    A file that is included twice counts once. ``allow_urls`` takes ``name @ https://…`` too.
    """
    reader = _Reader(read, allow_urls=allow_urls)
    clean = path_inside(path)
    if clean is not None:
        reader.file(clean, chain=(clean,), as_constraints=False)
    else:
        reader.refuse(path, "lies outside the source folder.")
    return reader.found


def requirement_lines_read(
    path: str, lines: Iterable[tuple[str, int]], read: Read, *, allow_urls: bool = False
) -> Requirements:
    """As ``requirements_read``, for lines that stand in another kind of file at ``path``, with the number of each."""
    reader = _Reader(read, allow_urls=allow_urls)
    reader.lines(path, lines)
    return reader.found


class _Reader:
    def __init__(self, read: Read, *, allow_urls: bool) -> None:
        self.found = Requirements()
        self._read = read
        self._allow_urls = allow_urls
        self._bytes_left = MOST_BYTES
        self._lines_left = MOST_LINES
        self._done: set[tuple[str, bool]] = set()

    def refuse(self, where: str, sentence: str) -> None:
        if len(self.found.problems) < _MOST_PROBLEMS:
            self.found.problems.append(f"{where} {sentence}")

    def file(self, path: str, *, chain: tuple[str, ...], as_constraints: bool) -> None:
        """Reads one file. ``chain`` are the files that led here, this one last."""
        if (path, as_constraints) in self._done:
            return
        self._done.add((path, as_constraints))
        content = self._read(path, self._bytes_left + 1)
        if content is None:
            by = f", which {chain[-2]} includes," if len(chain) > 1 else ""
            self.refuse(f"{path}{by}", "is not in the source folder.")
            return
        self._bytes_left -= len(content)
        if self._bytes_left < 0:
            self._bytes_left = 0
            self.refuse(path, f"is too large: requirements files may have {MOST_BYTES:,} bytes in all.")
            return
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self.refuse(path, f"is not UTF-8 text: byte {error.start} cannot be read. Save it as UTF-8.")
            return
        lines = re.split(r"\r\n|\r|\n", text)
        self._lines_left -= len(lines)
        if self._lines_left < 0:
            self._lines_left = 0
            self.refuse(path, f"is too long: requirements files may have {MOST_LINES:,} lines in all.")
            return
        for number, line in _joined(lines):
            self._line(line, where=f"{path}:{number}", chain=chain, as_constraints=as_constraints)

    def lines(self, path: str, lines: Iterable[tuple[str, int]]) -> None:
        """Reads lines of the file ``path``, whose format is another."""
        for text, number in lines:
            clean = _COMMENT.sub("", text).strip()
            if clean:
                self._line(clean, where=f"{path}:{number}", chain=(path,), as_constraints=False)

    def _line(self, line: str, *, where: str, chain: tuple[str, ...], as_constraints: bool) -> None:
        if len(line) > MOST_CHARACTERS and len(_HASH_OPTION.sub("", line)) > MOST_CHARACTERS:
            self.refuse(where, f"is too long: a line may have {MOST_CHARACTERS:,} characters beside its hashes.")
        elif _VARIABLE.search(line):
            self.refuse(where, f"has a variable in {_shown(line)}, which is not filled in. Write the value itself.")
        elif editable := _EDITABLE.fullmatch(line):
            self._editable(editable[1].strip(), where=where, as_constraints=as_constraints)
        elif line.startswith("-"):
            self._option(line, where=where, chain=chain)
        else:
            self._requirement(line, where=where, as_constraints=as_constraints)

    def _option(self, line: str, *, where: str, chain: tuple[str, ...]) -> None:
        name, value = _option(line)
        if name in _INDEX:
            self.refuse(where, f"has {name}; which index is asked is the administrator's choice. Remove the line.")
        elif name in _INCLUDES:
            self._include(_INCLUDES[name], value, where=where, chain=chain)
        else:
            self.refuse(where, f"has the option {_shown(name)}, which is not supported. Remove it.")

    def _editable(self, text: str, *, where: str, as_constraints: bool) -> None:
        if not text:
            self.refuse(where, "has -e without a folder after it.")
        elif _VCS.match(text) or _ADDRESS.match(text):
            self._requirement(text, where=where, as_constraints=as_constraints)
        else:
            self._source(text, where=where, as_constraints=as_constraints)

    def _include(self, option: str, value: str | None, *, where: str, chain: tuple[str, ...]) -> None:
        if not value:
            self.refuse(where, f"has {option} without the name of one file after it.")
            return
        if _ADDRESS.match(value):
            self.refuse(where, f"includes {_shown(value)}; only files of the source folder can be included.")
            return
        path = path_inside(value, folder=posixpath.dirname(chain[-1]))
        if path is None:
            self.refuse(where, f"includes {_shown(value)}, which lies outside the source folder.")
        elif path in chain:
            circle = " includes ".join([*chain[chain.index(path) :], path])
            self.refuse(where, f"closes a circle: {circle}. Remove one of these lines.")
        elif len(chain) >= MOST_DEPTH:
            self.refuse(where, f"includes {path}, one too many: {MOST_DEPTH} files may include one another in a chain.")
        else:
            self.file(path, chain=(*chain, path), as_constraints=option == "-c")

    def _requirement(self, line: str, *, where: str, as_constraints: bool) -> None:
        hashes = tuple(_HASH_OPTION.findall(line))
        text = _HASH_OPTION.sub("", line).strip()
        option = _OTHER_OPTION.search(text)
        if _VCS.match(text):
            self._source(text, where=where, as_constraints=as_constraints, hashes=hashes)
        elif option is not None and not _is_marker(text, option.start()):
            self.refuse(where, f"has the option {_shown(option[1])}, which is not supported. Remove it.")
        elif _ADDRESS.match(text):
            self.refuse(where, f"names an address without a package: write it as name @ {_shown(text)}.")
        elif "@" not in text and _LOCAL.search(text.partition(";")[0].strip()):
            self._source(text, where=where, as_constraints=as_constraints, hashes=hashes)
        else:
            self._parsed(text, hashes, where=where, as_constraints=as_constraints)

    def _parsed(self, text: str, hashes: tuple[str, ...], *, where: str, as_constraints: bool) -> None:
        try:
            requirement = Requirement(text)
        except (InvalidRequirement, RecursionError) as error:
            self.refuse(where, f"cannot be read: {_shown(text)} is no package requirement: {reason_of(error)}.")
            return
        problem = address_problem(requirement, allow_urls=self._allow_urls)
        wrong = next((one for one in hashes if not _HASH.fullmatch(one)), None)
        if problem:
            self.refuse(where, problem)
        elif wrong is not None:
            self.refuse(where, f"has the hash {_shown(wrong)}; write it as --hash=sha256: and 64 hexadecimal digits.")
        elif hashes and not requirement.url and not any(item.operator == "==" for item in requirement.specifier):
            self.refuse(where, f"has a hash but no exact version: write {requirement.name}==… before it.")
        elif as_constraints and (requirement.extras or requirement.url):
            self.refuse(where, f"has {_shown(text)}; a constraint is a name with versions, no extras and no address.")
        else:
            repository = repository_of(requirement, where)
            if repository is not None:
                if hashes:
                    self.refuse(where, f"has a hash for {_shown(text)}, which is locked by its commit. Remove it.")
                else:
                    self.found.sources.append(repository)
                return
            asked = Asked(requirement=requirement, where=where, hashes=hashes)
            (self.found.constraints if as_constraints else self.found.requirements).append(asked)

    def _source(self, text: str, *, where: str, as_constraints: bool, hashes: tuple[str, ...] = ()) -> None:
        if as_constraints:
            self.refuse(where, f"has {_shown(text)}; a constraint is a name with versions, and no package from files.")
        elif hashes:
            self.refuse(where, f"has a hash for {_shown(text)}, whose files are part of the source anyway. Remove it.")
        elif len(self.found.sources) >= MOST_SOURCES:
            self.refuse(where, f"is one package from files too many: a run may have {MOST_SOURCES} of them.")
        else:
            try:
                self.found.sources.append(
                    repository_read(text, where, allow_urls=self._allow_urls)
                    if _VCS.match(text)
                    else source_read(text, where, self._read)
                )
            except ValueError as error:
                self.refuse(where, str(error))


def _joined(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Logical lines with the number of their first line, from 1: continued by a backslash, without comments and blank
    ones. A comment ends a continuation."""
    held: list[str] = []
    first = 1
    for number, line in enumerate(lines, start=1):
        if not held:
            first = number
        is_comment = _COMMENT.search(line) is not None
        if line.endswith("\\") and not is_comment and number < len(lines):
            held.append(line[:-1])
            continue
        whole = "".join([*held, f" {line}" if is_comment else line.removesuffix("\\")])
        held = []
        clean = _COMMENT.sub("", whole).strip()
        if clean:
            yield first, clean


def _option(line: str) -> tuple[str, str | None]:
    """The name of an option line and its one value; None when there is none, or more than one."""
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    first, rest = words[0], words[1:]
    if first.startswith("--"):
        name, equals, value = first.partition("=")
        values = [value, *rest] if equals else rest
    else:
        name = first[:2]
        values = [first[2:], *rest] if len(first) > 2 else rest
    return name, values[0] if len(values) == 1 else None


def _is_marker(text: str, at: int) -> bool:
    """Whether ``at`` lies in a marker, whose quoted words may hold anything."""
    return text.rfind(";", 0, at) >= 0 and text.count("'", 0, at) + text.count('"', 0, at) > 0


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…")
