"""Whether conda channels answer, asked with a build's rights and within a few seconds."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compute.backends.base import ComputeBackend
from runs.environments.conda.answers import AnswerReader
from runs.environments.conda.channels import channel_shown
from runs.environments.conda.program_text import PROGRAM
from runs.environments.toolbox import build_environ
from runs.errors import EnvironmentFailed

#: For each channel; all are asked at once.
TIMEOUT_S = 5.0
#: What the program may take beyond that to start and to end.
_AROUND_S = 15.0
_KNOWN_FOR_S = 30.0
_MOST_KNOWN = 100


_known: dict[tuple[str, ...], tuple[list[ChannelAnswer], float]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelAnswer:
    """What became of asking one channel. ``absent``: its host answers, and has no such channel."""

    address: str
    is_there: bool
    is_absent: bool
    reason: str


def conda_reachability(backend: ComputeBackend, python: Path, channels: Sequence[str]) -> list[ChannelAnswer]:
    """What each of ``channels`` (addresses) answers to a program that ``python`` runs, or has answered within the last
    half minute. Blocks for up to about 5 s when one is silent. Raises EnvironmentFailed when nothing can be run."""
    key = (str(python), *channels)
    known, until = _known.get(key, ([], 0.0))
    if time.monotonic() < until:
        return known
    found = _asked(backend, python, channels)
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known[key] = (found, time.monotonic() + _KNOWN_FOR_S)
    return found


def unreachable_sentence(answers: Sequence[ChannelAnswer]) -> str:
    """That no channel can be reached, each with the reason."""
    reasons = "; ".join(f"{channel_shown(answer.address)}: {answer.reason}" for answer in answers)
    return f"No conda channel can be reached ({reasons})."


def _asked(backend: ComputeBackend, python: Path, channels: Sequence[str]) -> list[ChannelAnswer]:
    answers: dict[str, dict[str, str]] = {}

    def take(kind: str, value: Any) -> None:
        if kind == "channel":
            answers[value["url"]] = value

    reader = AnswerReader(take)
    held = bytearray()
    order = {"action": "probe", "channels": list(channels), "timeout_s": TIMEOUT_S}
    command = backend.build_command(
        [str(python), "-I", "-B", "-c", PROGRAM, json.dumps(order)], environ=build_environ()
    )
    try:
        command.run(output=held.extend, timeout_s=TIMEOUT_S + _AROUND_S)
    except PermissionError as error:
        raise EnvironmentFailed(str(error)) from error
    except TimeoutError:
        held.clear()
    for line in held.decode("utf-8", "replace").splitlines():
        reader.line(line)
    return [_answer(address, answers.get(address, {})) for address in channels]


def _answer(address: str, said: dict[str, str]) -> ChannelAnswer:
    return ChannelAnswer(
        address=address,
        is_there=said.get("is") == "there",
        is_absent=said.get("is") == "absent",
        reason=" ".join(said.get("reason", "no answer").split())[:200],
    )
