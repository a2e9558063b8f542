"""Why uv failed, as a sentence that names the package. Written against the messages of uv 0.13.

A message that is not recognised is shown as it is: nothing is hidden behind a general phrase.
"""

import re
from collections.abc import Callable
from functools import partial

_NOT_FOUND = re.compile(r"(?:Because |and )([A-Za-z0-9._-]+) was not found in the package registry")
_NO_VERSION = re.compile(r"(?:Because |and )there (?:is|are) no versions? of ([^ ]+?)(?= and|,|$)")
_ONLY_VERSIONS = re.compile(r"(?:Because |and )only (.+?) (?:is|are) available")
_NO_WHEEL = re.compile(r"(?:Because |and )([^ ]+) has no (?:wheels|usable wheels|source distribution)[^,\n]*")
_PYTHON = re.compile(r"(?:Because |and )the (?:requested|current) Python version \(([^)]*)\) does not satisfy")
_DEPENDS_ON_PYTHON = re.compile(r"and ([^ ]+) depends on Python([^ ,]+)")
_BUILD = re.compile(r"Failed to (?:build|download and build) `([^`]+)`")
_FOLDER = re.compile(r"^error: Failed to build `/[^`]+`\n((?:.|\n)*)", re.MULTILINE)
_FETCH = re.compile(r"Failed to fetch: `?([^`\s]+)")
_DOWNLOAD = re.compile(r"Failed to download `([^`]+)`")
_DAMAGED = re.compile(r"The structure of `([^`]+)` \(v([^)]+)\) was invalid:\s+(.+)")
_STATUS = re.compile(r"HTTP status (?:client|server) error \((\d+ [^)]*)\)")
_HASH = re.compile(r"Hash mismatch for `([^`]+)`")
_MOST_CHARACTERS = 900

#: Takes what uv said; an empty answer: it is something else.
Recogniser = Callable[[str], str]
_BUILD_LINES = 6


def failure_sentence(output: str, *, what: str, code: int) -> str:
    """The reason for which a command ended with ``code`` (negative: a signal) after saying ``output``. ``what`` names
    the command's purpose, such as "Installing the packages"."""
    if code < 0:
        return f"{what} was ended by signal {-code}: the machine may be out of memory, or somebody ended it."
    of_folders: Recogniser = partial(_folder_failed, what=what)
    for recognised in (*_OF_THE_MACHINE, of_folders, *_OF_PACKAGES):
        sentence = recognised(output)
        if sentence:
            return _cut(sentence)
    return _cut(f"{what} failed with exit code {code}: {_error(output) or 'it said nothing.'}")


def is_index_away(output: str) -> bool:
    """Whether a command failed because the index did not answer, which says nothing of the packages."""
    return _unreachable(output) != ""


def _disk_full(output: str) -> str:
    if "No space left on device" not in output and "Disk quota exceeded" not in output:
        return ""
    return "The disk of the machine that builds is full. Ask an administrator to free some space, then submit again."


def _build_failed(output: str) -> str:
    match = _BUILD.search(output)
    if match is None:
        return ""
    said = [line.strip() for line in _indented(output) if line.strip()]
    hints = re.findall(r"^hint: (.*(?:\n[^\n:]+)*)", output, re.MULTILINE)
    useful = [_joined(hint) for hint in hints if not hint.startswith("Build failures usually")]
    reason = " ".join(useful) or " ".join(said[-_BUILD_LINES:]) or _error(output)
    return f"The package {match[1]} has no wheel for this Python and could not be built from its source: {reason}"


def _folder_failed(output: str, *, what: str) -> str:
    """A folder or an archive that ``uv build`` could not make a wheel of: its backend's words come before uv's."""
    match = _FOLDER.search(output)
    if match is None:
        return ""
    causes = [
        _joined(cause) for cause in re.split(r"^  cause: ", match[1].partition("\nhint: ")[0], flags=re.MULTILINE)
    ]
    said = [line.strip() for line in output[: match.start()].splitlines() if line.strip() != "Building wheel..."]
    by_backend = any("build backend returned an error" in cause for cause in causes)
    reason = " ".join(said[-_BUILD_LINES:]) if by_backend and said else " ".join(filter(None, causes))
    return f"{what} failed: {reason}"


def _unreachable(output: str) -> str:
    match = _FETCH.search(output)
    if match is None:
        return ""
    status = _STATUS.search(output)
    if status is not None:
        return f"The package index answered {match[1]} with {status[1]}. Ask an administrator to check its settings."
    causes = re.findall(r"cause: (.+)", output)
    return f"The package index cannot be reached at {match[1]}: {causes[-1] if causes else 'no answer'}."


def _broken_off(output: str) -> str:
    match = _DOWNLOAD.search(output)
    if match is None:
        return ""
    causes = re.findall(r"cause: (.+)", output) or ["no reason was given"]
    return f"The download of {match[1]} broke off: {causes[-1].rstrip('.')}. Submit again."


def _damaged_package(output: str) -> str:
    match = _DAMAGED.search(output)
    if match is None:
        return ""
    return (
        f"What came for the package {match[1]}=={match[2]} cannot be read ({match[3].strip()}): the connection broke "
        "off, or the package index has a damaged file. Submit again, or name another version."
    )


def _unknown_package(output: str) -> str:
    match = _NOT_FOUND.search(output)
    if match is None:
        return ""
    return f"The package index has no package {match[1]!r}. Check its spelling under pip packages."


def _wrong_python(output: str) -> str:
    match, package = _PYTHON.search(output), _DEPENDS_ON_PYTHON.search(output)
    if match is None or package is None:
        return ""
    return (
        f"The package {package[1]} needs Python {package[2]}, and this environment has {match[1]}. "
        "Ask for another version of it."
    )


def _no_wheel(output: str) -> str:
    match = _NO_WHEEL.search(output)
    if match is None:
        return ""
    hints = [_joined(hint) for hint in re.findall(r"^hint: (.*(?:\n[^\n:]+)*)", output, re.MULTILINE)]
    return f"The package {match[1]} cannot be installed on this Python and machine. {' '.join(hints) or _cause(output)}"


def _no_version(output: str) -> str:
    match = _NO_VERSION.search(output)
    if match is None or " depends on " in _cause(output):
        return ""
    cause = _cause(output)
    if cause.count(match[1]) == 2 and f"you require {match[1]}, we can conclude" in cause:
        cause = "Ask for another version of it."
    return f"The package index has no version that fits {match[1]}. {cause}"


def _conflict(output: str) -> str:
    if "No solution found" not in output:
        return ""
    return f"The packages do not fit together. {_cause(output)}"


def _hash_mismatch(output: str) -> str:
    match = _HASH.search(output)
    if match is None:
        return ""
    return f"What the package index gave for {match[1]} is not what it announced (another SHA-256). Submit again."


#: In the order in which they are asked: what goes wrong with the machine explains the rest.
_OF_THE_MACHINE: tuple[Recogniser, ...] = (_disk_full, _hash_mismatch)
_OF_PACKAGES: tuple[Recogniser, ...] = (
    _build_failed,
    _unreachable,
    _broken_off,
    _damaged_package,
    _unknown_package,
    _wrong_python,
    _no_wheel,
    _no_version,
    _conflict,
)


def _cause(output: str) -> str:
    """The text behind the first ``cause:``, with its continuation lines."""
    match = re.search(r"cause: (.+(?:\n {4,}\S.*)*)", output)
    return _joined(match[1]) if match else ""


def _error(output: str) -> str:
    """Everything from the last ``error:`` on."""
    at = output.rfind("error: ")
    return _joined(output[at + 7 :] if at >= 0 else output[-_MOST_CHARACTERS:])


def _indented(output: str) -> list[str]:
    """What a failing build backend printed: uv indents it, under ``[stdout]`` and ``[stderr]``."""
    lines = output[output.rfind("Failed to ") :].splitlines()
    return [line for line in lines if line.startswith("    ") and line.strip() not in ("[stdout]", "[stderr]")]


def _joined(text: str) -> str:
    return " ".join(text.split())


def _cut(sentence: str) -> str:
    return sentence if len(sentence) <= _MOST_CHARACTERS else f"{sentence[: _MOST_CHARACTERS - 1]}…"
