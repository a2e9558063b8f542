"""Where a run's conda packages come from: their channels or, when none can be reached, PyPI.

Decided when the environment is ordered, so that it is part of what the environment is: once a channel answers again,
the same run gets an environment of its packages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings

from compute.backends.base import ComputeBackend
from runs.environments.conda.channels import channel_shown
from runs.environments.conda.fallback import Substitute, substitutes
from runs.environments.conda.reach import conda_reachability, unreachable_sentence
from runs.environments.conda.wishes import CondaWishes, fitting_pythons
from runs.environments.interpreters import Interpreter, interpreter_choose
from runs.errors import EnvironmentFailed

#: The value of TRAINHOUSE_CONDA_FALLBACK that takes packages from PyPI.
PYPI = "pypi"


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaPlan:
    """``described`` is the part of the canonical description; ``lines`` are pip's requirements in place of conda's."""

    described: dict[str, Any]
    lines: tuple[str, ...]


def conda_interpreter(
    backend: ComputeBackend, pythons: tuple[str, ...], wishes: CondaWishes, *, wanted_by: str
) -> Interpreter:
    """The machine's Python for an environment with conda packages: one that the run's own words allow where there is
    one; another one does to fetch a Python from a channel. Raises EnvironmentFailed when none of ``pythons`` is there.
    """
    fitting = fitting_pythons(pythons, wishes)
    if fitting and len(fitting) < len(pythons):
        try:
            return interpreter_choose(backend, fitting, wanted_by=wanted_by)
        except EnvironmentFailed:
            return interpreter_choose(backend, pythons, wanted_by=wanted_by)
    return interpreter_choose(backend, pythons, wanted_by=wanted_by)


def conda_described(wishes: CondaWishes, pythons: tuple[str, ...]) -> dict[str, Any] | None:
    """The part of the canonical description for packages from their channels; None when there are none. ``pythons`` are
    the minor versions that TensorFlow runs on."""
    if not wishes.needs_conda:
        return None
    return {
        "channels": list(wishes.channels),
        "packages": [package.text for package in wishes.packages],
        "python": list(wishes.python),
        "pythons": fitting_pythons(pythons, wishes),
    }


def conda_plan(
    wishes: CondaWishes, backend: ComputeBackend, interpreter: Interpreter, described: dict[str, Any]
) -> CondaPlan | None:
    """What comes from PyPI in place of what was ``described``; None when a channel answers. Asks the channels, for up
    to about 5 s. Raises EnvironmentFailed when a channel does not exist, and when none answers and nothing else can be
    done."""
    answers = conda_reachability(backend, interpreter.path, wishes.channels)
    for answer in answers:
        if answer.is_absent:
            raise EnvironmentFailed(
                f"There is no conda channel {channel_shown(answer.address)!r}: {answer.reason}. Check its spelling, or "
                "remove it."
            )
    if any(answer.is_there for answer in answers):
        return None
    sentence = unreachable_sentence(answers)
    if settings.ENV.conda_fallback != PYPI:
        raise EnvironmentFailed(
            f"{sentence} Submit again when one can be, or name the packages under pip packages. (An administrator can "
            "have them taken from PyPI: TRAINHOUSE_CONDA_FALLBACK=pypi.)"
        )
    found = _taken_instead(wishes, interpreter, described["pythons"], sentence)
    return CondaPlan(
        described={**described, "instead": [each.sentence for each in found]},
        lines=tuple(each.pip for each in found if each.pip),
    )


def _taken_instead(
    wishes: CondaWishes, interpreter: Interpreter, pythons: list[str], sentence: str
) -> list[Substitute]:
    try:
        found = substitutes(wishes.packages)
    except EnvironmentFailed as error:
        raise EnvironmentFailed(f"{sentence} {error}") from error
    if interpreter.minor not in pythons:
        raise EnvironmentFailed(f"{sentence} {python_missing(interpreter, wishes.python)}")
    return found


def python_missing(interpreter: Interpreter, expressions: tuple[str, ...]) -> str:
    """That the machine's Python is not the one that the run asks for and no channel gives."""
    asked = " and ".join(f"python {expression}" for expression in expressions)
    return (
        f"The run asks for {asked}, and the machine has Python {interpreter.version}. Ask for that, or ask an "
        "administrator to install the other."
    )
