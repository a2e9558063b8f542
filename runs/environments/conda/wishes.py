"""What a run asks for of conda: the packages of its form or those of its conda file, in one spelling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from packaging.requirements import Requirement

from runs.environments.catalogue import find, newest_offered
from runs.environments.conda.channels import MOST_CHANNELS, channel_addresses, channel_problem
from runs.environments.conda.fallback import pip_versions
from runs.environments.conda.file import CondaFile, conda_file_read
from runs.environments.conda.specs import CondaSpec, conda_allows, conda_spec
from runs.environments.packages import FRAMEWORKS, release_for
from runs.environments.requirements import Asked, Read
from runs.environments.sources import Source
from runs.errors import EnvironmentFailed
from runs.spec import Problem, RunSpec

FORM = "conda packages"

#: TensorFlow comes from PyPI in any case; these names of conda's say at which version.
_FRAMEWORKS = FRAMEWORKS | {"tensorflow-base", "tensorflow-mkl", "tensorflow-eigen"}

#: Patch releases that are tried to find out whether an expression allows a minor version of Python.
_PATCHES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaWishes:
    """``packages`` come from ``channels`` (addresses); ``python`` are expressions that Python's version has to fit.
    ``requirements``, ``constraints`` and ``sources`` are pip's part; ``notes`` are worth knowing, ``problems`` stand in
    the way."""

    channels: tuple[str, ...] = ()
    packages: tuple[CondaSpec, ...] = ()
    python: tuple[str, ...] = ()
    requirements: tuple[Asked, ...] = ()
    constraints: tuple[Asked, ...] = ()
    sources: tuple[Source, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def needs_conda(self) -> bool:
        """Whether there is anything to take from a channel."""
        return bool(self.packages or self.python)


def conda_wishes(spec: RunSpec, read: Read | None) -> CondaWishes:
    """Everything that ``spec`` asks for of conda; nothing when it names none. ``read`` opens files of its snapshot;
    None leaves its file aside. Never raises."""
    problems: list[Problem] = []
    found = _of_form(spec, problems)
    if spec.conda_dependencies_file and read is not None:
        found = conda_file_read(spec.conda_dependencies_file, read, allow_urls=settings.ENV.allow_url_packages)
        problems += [Problem(field="conda_dependencies_file", message=message) for message in found.problems]
    named = _channels(spec, found, problems)
    framework = [(package, where) for package, where in found.packages if package.name in _FRAMEWORKS]
    others = [package for package, _ in found.packages if package.name not in _FRAMEWORKS]
    file_or_form = "conda_dependencies_file" if spec.conda_dependencies_file else "conda_packages"
    pins = [pin for package, where in framework if (pin := _pin(package, where, file_or_form, problems)) is not None]
    python = tuple(sorted({package.version for package in others if package.name == "python"}))
    wishes = CondaWishes(
        channels=tuple(channel_addresses(named)),
        packages=_sorted([package for package in others if package.name != "python"]),
        python=python,
        requirements=(*found.pip.requirements, *pins),
        constraints=tuple(found.pip.constraints),
        sources=tuple(found.pip.sources),
        notes=(*found.notes, *_notes(spec, framework)),
        problems=tuple(problems),
    )
    return wishes if problems else _with_python_checked(wishes, spec, file_or_form)


def fitting_pythons(pythons: Sequence[str], wishes: CondaWishes) -> list[str]:
    """Those of the minor versions ``pythons`` that the run's own words about Python allow."""
    return [minor for minor in pythons if all(_allows_some(minor, expression) for expression in wishes.python)]


def _of_form(spec: RunSpec, problems: list[Problem]) -> CondaFile:
    found = CondaFile()
    for line in spec.conda_packages:
        try:
            found.packages.append((conda_spec(line), FORM))
        except EnvironmentFailed as error:
            problems.append(Problem(field="conda_packages", message=str(error)))
    return found


def _channels(spec: RunSpec, found: CondaFile, problems: list[Problem]) -> Sequence[str]:
    for name in spec.conda_channels:
        wrong = channel_problem(name)
        if wrong:
            problems.append(Problem(field="conda_channels", message=f"{name[:120]!r} {wrong}"))
    if len(spec.conda_channels) > MOST_CHANNELS:
        message = f"{len(spec.conda_channels)} channels are named; {MOST_CHANNELS} can be used."
        problems.append(Problem(field="conda_channels", message=message))
    if found.channels and spec.conda_channels:
        message = f"{spec.conda_dependencies_file} names its channels itself. Leave this field empty."
        problems.append(Problem(field="conda_channels", message=message))
    return [] if problems else found.channels or spec.conda_channels


def _pin(package: CondaSpec, where: str, field: str, problems: list[Problem]) -> Asked | None:
    try:
        return Asked(requirement=Requirement(f"tensorflow{pip_versions(package.version)}"), where=where)
    except EnvironmentFailed as error:
        problems.append(Problem(field=field, message=f"{where}: {error}"))
        return None


def _notes(spec: RunSpec, framework: list[tuple[CondaSpec, str]]) -> list[str]:
    notes = [
        f"{package.name} ({where}) is not installed from conda: TensorFlow comes from PyPI, at the version that is "
        "named there."
        for package, where in framework
    ]
    if spec.conda_channels and not spec.conda_packages and not spec.conda_dependencies_file:
        notes.append("Conda channels are named, and no conda package: they have no effect.")
    return notes


def _with_python_checked(wishes: CondaWishes, spec: RunSpec, field: str) -> CondaWishes:
    chosen = find(spec.framework_version or newest_offered())
    if chosen is None or not wishes.python:
        return wishes
    release = release_for([str(asked.requirement) for asked in wishes.requirements], chosen)
    if fitting_pythons(release.pythons, wishes):
        return wishes
    asked = " and ".join(f"python {expression}" for expression in wishes.python)
    message = (
        f"The conda packages ask for {asked}, and TensorFlow {release.version} runs on Python "
        f"{', '.join(release.pythons)}. Ask for one of these, or choose another version of TensorFlow."
    )
    problem = Problem(field=field, message=message)
    return CondaWishes(channels=wishes.channels, python=wishes.python, problems=(problem,))


def _allows_some(minor: str, expression: str) -> bool:
    return any(conda_allows(f"{minor}.{patch}", expression) for patch in range(_PATCHES))


def _sorted(packages: list[CondaSpec]) -> tuple[CondaSpec, ...]:
    return tuple(sorted(set(packages), key=lambda package: package.text))
