"""What is to be installed: the framework, what the platform adds, and what the person asks for, in one spelling."""

from collections.abc import Iterable
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from runs.environments.catalogue import Release, releases
from runs.errors import EnvironmentFailed

#: Distributions that install the module ``tensorflow``; two of them in one environment overwrite each other.
FRAMEWORKS = frozenset(
    {"tensorflow", "tensorflow-cpu", "tensorflow-gpu", "tensorflow-intel", "tf-nightly", "tf-nightly-cpu"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """Requirements in canonical spelling. ``framework`` is one, or what the person wrote in its place
    (``framework_pinned``)."""

    framework: tuple[str, ...]
    framework_pinned: bool
    added: tuple[str, ...]
    asked: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.framework, *self.added, *self.asked)


def packages_of(pip_packages: Iterable[str], release: Release, *, gpu: bool, machine: str) -> Packages:
    """The packages of a run. A framework with a version in ``pip_packages`` replaces the platform's; one without a
    version gets the release's. Raises EnvironmentFailed for a line that is no plain requirement."""
    asked = [_parsed(line) for line in pip_packages]
    own = [requirement for requirement in asked if canonicalize_name(requirement.name) in FRAMEWORKS]
    others = sorted({_spelled(requirement) for requirement in asked if requirement not in own})
    names = {canonicalize_name(requirement.name) for requirement in asked}
    frameworks = [_framework(requirement, release) for requirement in own if _says_something(requirement)]
    return Packages(
        framework=tuple(sorted(set(frameworks))) or (release.requirement(gpu=gpu, machine=machine),),
        framework_pinned=any(requirement.specifier for requirement in own),
        added=tuple(name for name in release.added if name not in names),
        asked=tuple(others),
    )


def release_for(pip_packages: Iterable[str], chosen: Release) -> Release:
    """The row to go by: that of a framework version pinned in ``pip_packages`` when the catalogue has it, or one of
    the same minor version; ``chosen`` otherwise. Raises EnvironmentFailed as ``packages_of`` does."""
    for requirement in (_parsed(line) for line in pip_packages):
        if canonicalize_name(requirement.name) not in FRAMEWORKS or not requirement.specifier:
            continue
        for release in releases():
            if requirement.specifier.contains(release.version):
                return release
        minors = {_minor(item.version) for item in requirement.specifier if item.operator in ("==", "===", "~=")}
        for release in releases():
            if _minor(release.version) in minors:
                return release
    return chosen


def _parsed(line: str) -> Requirement:
    try:
        requirement = Requirement(line)
    except InvalidRequirement as error:
        raise EnvironmentFailed(
            f"{line!r} is no package requirement. Write it like scikit-learn or pandas>=2."
        ) from error
    if requirement.url:
        raise EnvironmentFailed(
            f"{line!r} names an address. Packages come from the configured index: give the name {requirement.name}."
        )
    return requirement


def _says_something(framework: Requirement) -> bool:
    """Whether a framework line says more than that TensorFlow is wanted, which it is anyway."""
    return bool(framework.specifier or framework.extras) or canonicalize_name(framework.name) != "tensorflow"


def _framework(requirement: Requirement, release: Release) -> str:
    if requirement.specifier or canonicalize_name(requirement.name).startswith("tf-nightly"):
        return _spelled(requirement)
    return _spelled(Requirement(f"{requirement.name}{_extras(requirement)}=={release.version}"))


def _spelled(requirement: Requirement) -> str:
    """One spelling for each meaning: normalised name, sorted extras and versions, packaging's form of the marker."""
    specifier = ",".join(sorted(str(item) for item in requirement.specifier))
    marker = f" ; {requirement.marker}" if requirement.marker else ""
    return f"{canonicalize_name(requirement.name)}{_extras(requirement)}{specifier}{marker}"


def _extras(requirement: Requirement) -> str:
    extras = sorted({canonicalize_name(extra) for extra in requirement.extras})
    return f"[{','.join(extras)}]" if extras else ""


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
