"""What is taken from PyPI where no conda channel can be reached: an explicit map of names (``names.json``). Pure.

``pip`` maps conda's names, the same name included; ``longer_versions`` are packages that have one number more on PyPI;
``left_out`` needs nothing in its place, with the reason. What is in neither stands in the way of the run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from runs.environments.conda.specs import CondaSpec
from runs.errors import EnvironmentFailed

_DATA = Path(__file__).with_name("names.json")
_CLAUSE = re.compile(r"(==|!=|>=|<=|~=|>|<)?\s*([A-Za-z0-9.+!_]+?)(\.?\*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitute:
    """A conda package and the requirement that takes its place; an empty one when nothing has to."""

    conda: str
    pip: str
    note: str = ""

    @property
    def sentence(self) -> str:
        """What a person should know."""
        if not self.pip:
            return f"{self.conda} from conda is left out: {self.note}."
        return f"{self.conda} from conda is taken from PyPI as {self.pip}{f' ({self.note})' if self.note else ''}."


def substitutes(specs: Sequence[CondaSpec]) -> list[Substitute]:
    """For each package what takes its place. Raises EnvironmentFailed, every package without one named."""
    found: list[Substitute] = []
    unknown: list[str] = []
    for spec in specs:
        if spec.name in _names()["left_out"]:
            found.append(Substitute(conda=_shown(spec), pip="", note=_names()["left_out"][spec.name]))
        elif spec.name in _names()["pip"]:
            found.append(_substitute(spec))
        else:
            unknown.append(spec.name)
    if unknown:
        raise EnvironmentFailed(
            f"For {', '.join(unknown)} from conda no package of PyPI is known that serves the same purpose. Name under "
            "pip packages what can take its place, or ask an administrator for a conda channel that can be reached."
        )
    return found


def pip_versions(expression: str, *, longer: bool = False) -> str:
    """conda's versions in pip's words: ``1.26.*`` is ``==1.26.*``. ``longer`` allows one number more after an exact
    one. Raises EnvironmentFailed for what pip cannot say, such as alternatives."""
    if expression in ("", "*"):
        return ""
    clauses = []
    for clause in expression.split(","):
        match = _CLAUSE.fullmatch(clause.strip())
        if match is None:
            raise EnvironmentFailed(_untranslatable(expression))
        operator, version, star = (
            match[1] or "==",
            match[2],
            ".*" if match[3] and match[1] in (None, "==", "!=") else "",
        )
        if longer and operator == "==":
            star = ".*"
        clauses.append(f"{operator}{version}{star}")
    try:
        return str(SpecifierSet(",".join(clauses)))
    except InvalidSpecifier as error:
        raise EnvironmentFailed(_untranslatable(expression)) from error


def _substitute(spec: CondaSpec) -> Substitute:
    versions = pip_versions(spec.version, longer=spec.name in _names()["longer_versions"])
    note = f"its build {spec.build!r} has no counterpart there" if spec.build else ""
    return Substitute(conda=_shown(spec), pip=f"{_names()['pip'][spec.name]}{versions}", note=note)


def _shown(spec: CondaSpec) -> str:
    return " ".join(filter(None, [spec.name, spec.version]))


def _untranslatable(expression: str) -> str:
    return (
        f"The conda version {expression!r} cannot be said to pip. Write it with ==, !=, >=, <=, < and >, separated by "
        "commas, or name the package under pip packages."
    )


@cache
def _names() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(_DATA.read_text())
    return data
