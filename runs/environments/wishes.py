"""What a run asks for in all: the packages of its form and those of its files, together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace

from django.conf import settings
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from runs.environments.conda.wishes import FORM as CONDA_FORM
from runs.environments.conda.wishes import CondaWishes, conda_wishes
from runs.environments.horovod.wanted import is_horovod, line_problem
from runs.environments.packages import FRAMEWORKS, parsed, spelled
from runs.environments.requirements import Asked, Read, requirements_read
from runs.environments.sources import Source, repository_of
from runs.errors import EnvironmentFailed
from runs.spec import Problem, RunSpec, address_problem

FORM = "pip packages"
_FIELDS = {FORM: "pip_packages", CONDA_FORM: "conda_packages"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """Requirements, constraints and packages from files with the place of each, and what is wrong with them."""

    requirements: tuple[Asked, ...]
    constraints: tuple[Asked, ...]
    problems: tuple[Problem, ...]
    sources: tuple[Source, ...] = ()
    conda: CondaWishes = field(default_factory=CondaWishes)

    @property
    def lines(self) -> tuple[str, ...]:
        """The requirements as text."""
        return tuple(str(asked.requirement) for asked in self.requirements)

    @property
    def limits(self) -> list[str]:
        """The constraints in their one spelling, sorted."""
        return sorted({spelled(asked.requirement) for asked in self.constraints})

    @property
    def hashes(self) -> dict[str, list[str]]:
        """By package, the only SHA-256 that it may have, where the file says so."""
        found: dict[str, set[str]] = defaultdict(set)
        for asked in self.requirements:
            if asked.hashes:
                found[canonicalize_name(asked.requirement.name)].update(asked.hashes)
        return {name: sorted(found[name]) for name in sorted(found)}

    @property
    def framework_pin(self) -> Asked | None:
        """The first line that says which TensorFlow is wanted."""
        return next((asked for asked in self.requirements if _is_framework(asked) and _says_which(asked)), None)


def wishes_of(spec: RunSpec, read: Read | None) -> Wishes:
    """Everything that ``spec`` asks for. ``read`` opens files of its snapshot; None leaves its file aside.

    Lines of the form that cannot be read are left out: ``runs.spec.problems`` names them. A constraint on TensorFlow,
    which is installed in any case, counts as a requirement.
    """
    lines = [line for line in map(_readable, spec.pip_packages) if line is not None]
    asked = [Asked(requirement=line, where=FORM) for line in lines if not _is_repository(line)]
    sources = [source for line in lines if _is_repository(line) and (source := repository_of(line, FORM))]
    constraints: list[Asked] = []
    problems: list[str] = []
    if spec.pip_requirements_file and read is not None:
        found = requirements_read(spec.pip_requirements_file, read, allow_urls=settings.ENV.allow_url_packages)
        asked += [*found.requirements, *(limit for limit in found.constraints if _is_framework(limit))]
        constraints = [limit for limit in found.constraints if not _is_framework(limit)]
        sources += found.sources
        problems = found.problems
    conda = conda_wishes(spec, read)
    asked += [*conda.requirements, *(limit for limit in conda.constraints if _is_framework(limit))]
    constraints += [limit for limit in conda.constraints if not _is_framework(limit)]
    sources += conda.sources
    return Wishes(
        requirements=tuple(asked),
        constraints=tuple(constraints),
        sources=tuple(sources),
        problems=(
            *(Problem(field="pip_requirements_file", message=message) for message in problems),
            *conda.problems,
            *_beside_their_file(spec, [*_contradictions([*asked, *constraints]), *_horovod([*asked, *constraints])]),
        ),
        conda=conda,
    )


def wishes_checked(spec: RunSpec, read: Read | None) -> Wishes:
    """As ``wishes_of``, for a build. Raises EnvironmentFailed with what is wrong."""
    for line in spec.pip_packages:
        parsed(line)
    wishes = wishes_of(spec, read)
    if wishes.problems:
        raise EnvironmentFailed(" ".join(problem.message for problem in wishes.problems))
    return wishes


def _beside_their_file(spec: RunSpec, problems: list[Problem]) -> list[Problem]:
    """``problems`` of lines in files stand beside the conda file, where that is what names the packages."""
    if spec.pip_requirements_file or not spec.conda_dependencies_file:
        return problems
    return [
        replace(problem, field="conda_dependencies_file") if problem.field == "pip_requirements_file" else problem
        for problem in problems
    ]


def _contradictions(lines: list[Asked]) -> list[Problem]:
    """One problem for each package of which an exact version is asked for that another line rules out. Lines under
    different markers may be meant for different machines, and are not compared."""
    groups: dict[tuple[str, str], list[Asked]] = defaultdict(list)
    for asked in lines:
        name = "tensorflow" if _is_framework(asked) else canonicalize_name(asked.requirement.name)
        groups[name, str(asked.requirement.marker or "")].append(asked)
    return [problem for group in groups.values() if (problem := _contradiction(group)) is not None]


def _horovod(lines: list[Asked]) -> list[Problem]:
    named = [asked for asked in lines if is_horovod(asked.requirement)]
    return [Problem(field=_field(asked), message=problem) for asked in named if (problem := line_problem(asked))]


def _field(asked: Asked) -> str:
    return _FIELDS.get(asked.where, "pip_requirements_file")


def _contradiction(group: list[Asked]) -> Problem | None:
    pinned = next(((asked, version) for asked in group if (version := _exact(asked)) is not None), None)
    if pinned is None:
        return None
    pin, version = pinned
    for other in group:
        if other.requirement.specifier and not other.requirement.specifier.contains(version, prereleases=True):
            message = (
                f"{str(pin.requirement)!r} ({pin.where}) and {str(other.requirement)!r} ({other.where}) cannot both be "
                "met. Keep one of them."
            )
            # What can be changed beside the packages of the form: the line that is not among them.
            field = next((_field(asked) for asked in (pin, other) if asked.where != FORM), _field(pin))
            return Problem(field=field, message=message)
    return None


def _exact(asked: Asked) -> Version | None:
    for item in asked.requirement.specifier:
        if item.operator in ("==", "===") and not item.version.endswith(".*"):
            try:
                return Version(item.version)
            except InvalidVersion:
                continue  # only === takes what is no version
    return None


def _readable(line: str) -> Requirement | None:
    try:
        return Requirement(line)
    except (InvalidRequirement, RecursionError):
        return None


def _is_repository(line: Requirement) -> bool:
    return bool(line.url) and not address_problem(line, allow_urls=True) and (line.url or "").startswith("git+")


def _is_framework(asked: Asked) -> bool:
    return canonicalize_name(asked.requirement.name) in FRAMEWORKS


def _says_which(asked: Asked) -> bool:
    return bool(asked.requirement.specifier or asked.requirement.url)
