"""Why rattler failed, as a sentence that names the package or the channel. Written against py-rattler 0.28.

A message that is not recognised is shown as it is: nothing is hidden behind a general phrase.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from runs.environments.conda.channels import channel_shown

_MOST_CHARACTERS = 900
_NO_CANDIDATES = re.compile(r"No candidates were found for (\S+)([^\n]*?)\.?\s*$")
_NO_SUBDIR = re.compile(r"could not find subdir '[^']*' in channel '([^']*)'")
_ADDRESS = re.compile(r"error sending request for url \(([^)\s]+)\)")
_STATUS = re.compile(r"HTTP status (?:client|server) error \((\d+[^)]*)\) for url \(([^)\s]+)\)")
_GONE = re.compile(
    r"No such file or directory: '([^']+\.(?:conda|tar\.bz2))'"
    r"|\(404[^)]*\) for url \(([^)\s]+\.(?:conda|tar\.bz2))\)"
)
_HASH = re.compile(r"hash mismatch of ([^\s:]+)|failed to fetch (\S+)\n.*hash mismatch", re.DOTALL)
_NO_PYTHON = re.compile(r"failed to link (\S+)\n.*there is no python version specified", re.DOTALL)
_OUTSIDE = re.compile(r"failed to (?:link|fetch) (\S+)\n.*(?:outside of destination path|'\.\./)", re.DOTALL)


def conda_failure(kind: str, text: str, addresses: Sequence[str], *, what: str) -> str:
    """The reason in rattler's error (its class and its words); ``addresses`` are those of the channels, ``what`` names
    the purpose, such as "Solving the conda packages"."""
    channels = ", ".join(channel_shown(address) for address in addresses)
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return (
            "The disk of the machine that builds is full. Ask an administrator to free some space, then submit again."
        )
    if match := _NO_SUBDIR.search(text):
        return f"There is no conda channel {channel_shown(match[1].rstrip('/'))!r}: {_last_cause(text)}."
    if match := _GONE.search(text):
        return (
            f"The conda channel does not have {match[1] or match[2]}, which its index or the lock names. Submit again, "
            "or run again with updated packages."
        )
    if match := _STATUS.search(text):
        return (
            f"A conda channel answered {match[2]} with {match[1].strip()}. Ask an administrator to check its settings."
        )
    if match := _ADDRESS.search(text):
        return f"A conda channel cannot be reached at {match[1]}: {_last_cause(text)}."
    if match := _HASH.search(text):
        return (
            f"What the conda channel gave for {match[1] or match[2]} is not what it announced (another SHA-256). "
            "Nothing of it was installed. Ask whoever keeps the channel to write its index anew."
        )
    if match := _NO_PYTHON.search(text):
        return (
            f"The conda package {match[1]} is a Python package, and its channel has no Python to install it for. "
            "Name it under pip packages, or add a channel that has python."
        )
    if match := _OUTSIDE.search(text):
        return f"The conda package {match[1]} names a file outside the environment: it is damaged or hostile."
    if kind == "SolverError":
        return _cut(_unsolved(text, channels))
    return _cut(f"{what} failed: {_joined(text)}")


def crash_reason(said: str, *, what: str) -> str:
    """For a rattler that ended in the middle of its work; ``said`` is what it died of."""
    return _cut(f"{what} failed, since a conda package is damaged: {_joined(said)}. Ask for another version of it.")


def _unsolved(text: str, channels: str) -> str:
    cause = re.sub(r"^Cannot solve the request because of: ", "", text.strip())
    match = _NO_CANDIDATES.fullmatch(cause)
    if match and match[2].strip() in ("", "*"):
        return f"The conda channels ({channels}) have no package {match[1]!r}. Check its spelling under conda packages."
    if match:
        return f"The conda channels ({channels}) have no version that fits {match[1]} {match[2].strip()}."
    tree = [re.sub(r"^[\s│├└─┬]*", "", line).strip() for line in cause.splitlines()]
    return f"The conda packages do not fit together (channels: {channels}). {'; '.join(line for line in tree if line)}"


def _last_cause(text: str) -> str:
    causes = re.findall(r"Caused by: (.+)", text)
    return _joined(causes[-1]).rstrip(".") if causes else "no answer"


def _joined(text: str) -> str:
    return " ".join(text.split())


def _cut(sentence: str) -> str:
    return sentence if len(sentence) <= _MOST_CHARACTERS else f"{sentence[: _MOST_CHARACTERS - 1]}…"
