"""What is to be installed: the framework, what the platform adds, and what the person asks for, in one spelling."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from runs.environments.catalogue import Release, known
from runs.environments.horovod.wanted import is_horovod
from runs.errors import EnvironmentFailed
from runs.spec import address_problem

#: Distributions that install the module ``tensorflow``; two of them in one environment overwrite each other.
FRAMEWORKS = frozenset(
    {"tensorflow", "tensorflow-cpu", "tensorflow-gpu", "tensorflow-intel", "tf-nightly", "tf-nightly-cpu"}
)
LEGACY_KERAS = "tf-keras"

#: The first minor version of TensorFlow whose ``tf.keras`` is Keras 3.
FIRST_WITH_KERAS_3 = (2, 16)

#: Packages depend on TensorFlow by the name ``tensorflow``; where the CPU build is installed, that would bring the
#: other one beside it.
_NO_SECOND_BUILD = "tensorflow ; python_version < '3'"
_MINOR = re.compile(r"(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """Requirements in canonical spelling. ``framework`` is one, or what the person wrote in its place
    (``framework_pinned``); ``overrides`` replace what packages depend on."""

    framework: tuple[str, ...]
    framework_pinned: bool
    added: tuple[str, ...]
    asked: tuple[str, ...]
    overrides: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.framework, *self.added, *self.asked)


def packages_of(
    lines: Iterable[str], release: Release, *, gpu: bool, machine: str, legacy_keras: bool = False
) -> Packages:
    """The packages of a run that asks for ``lines``. A framework with a version there replaces the platform's; one
    without a version gets the release's. Horovod is left out: it does not come from the index. ``legacy_keras`` adds
    tf_keras of the framework's minor version, where ``tf.keras`` is Keras 3. Raises EnvironmentFailed for a line that
    is no requirement, or an address where none may be."""
    asked = [parsed(line) for line in lines]
    own = [requirement for requirement in asked if canonicalize_name(requirement.name) in FRAMEWORKS]
    others = sorted({spelled(each) for each in asked if each not in own and not is_horovod(each)})
    names = {canonicalize_name(requirement.name) for requirement in asked}
    wanted = {_framework(requirement, release, gpu=gpu) for requirement in own if _says_something(requirement)}
    framework = tuple(sorted(wanted)) or (release.requirement(gpu=gpu, machine=machine),)
    added = list(release.added)
    minor = framework_minor(framework, release.version)
    if legacy_keras and minor >= FIRST_WITH_KERAS_3:
        added.append(f"{LEGACY_KERAS}=={minor[0]}.{minor[1]}.*")
    is_cpu_build = {canonicalize_name(Requirement(line).name) for line in framework} == {"tensorflow-cpu"}
    return Packages(
        framework=framework,
        framework_pinned=any(requirement.specifier or requirement.url for requirement in own),
        added=tuple(line for line in added if canonicalize_name(Requirement(line).name) not in names),
        asked=tuple(others),
        overrides=(_NO_SECOND_BUILD,) if is_cpu_build else (),
    )


def framework_minor(framework: Iterable[str], version: str) -> tuple[int, int]:
    """The minor version that the framework's requirements pin, such as (2, 21); that of ``version`` when they name
    none."""
    for line in framework:
        for item in Requirement(line).specifier:
            if item.operator in ("==", "===", "~=") and (match := _MINOR.match(item.version)):
                return int(match[1]), int(match[2])
    major, minor, *_ = version.split(".")
    return int(major), int(minor)


def release_for(lines: Iterable[str], chosen: Release) -> Release:
    """The row to go by: that of a framework version pinned in ``lines`` when the catalogue has it, or one of
    the same minor version; ``chosen`` otherwise. Raises EnvironmentFailed as ``packages_of`` does."""
    for requirement in (parsed(line) for line in lines):
        if canonicalize_name(requirement.name) not in FRAMEWORKS or not requirement.specifier:
            continue
        for release in known():
            if requirement.specifier.contains(release.version):
                return release
        minors = {_minor(item.version) for item in requirement.specifier if item.operator in ("==", "===", "~=")}
        for release in known():
            if _minor(release.version) in minors:
                return release
    return chosen


def parsed(line: str) -> Requirement:
    """``line`` as a requirement. Raises EnvironmentFailed when it is none, or names an address where none may be."""
    try:
        requirement = Requirement(line)
    except (InvalidRequirement, RecursionError) as error:
        raise EnvironmentFailed(
            f"{line!r} is no package requirement. Write it like scikit-learn or pandas>=2."
        ) from error
    problem = address_problem(requirement, allow_urls=settings.ENV.allow_url_packages)
    if problem:
        raise EnvironmentFailed(f"{line!r} {problem}")
    return requirement


def spelled(requirement: Requirement) -> str:
    """One spelling for each meaning: normalised name, sorted extras and versions, packaging's form of the marker."""
    specifier = ",".join(sorted(str(item) for item in requirement.specifier))
    address = f" @ {requirement.url}" if requirement.url else ""
    return f"{canonicalize_name(requirement.name)}{_extras(requirement)}{specifier}{address}{_marker(requirement)}"


def _says_something(framework: Requirement) -> bool:
    """Whether a framework line says more than that TensorFlow is wanted, which it is anyway."""
    return (
        bool(framework.specifier or framework.extras or framework.url)
        or canonicalize_name(framework.name) != "tensorflow"
    )


def _framework(requirement: Requirement, release: Release, *, gpu: bool) -> str:
    if requirement.url or canonicalize_name(requirement.name).startswith("tf-nightly"):
        return spelled(requirement)
    extras = _extras(requirement)
    if gpu and not extras and canonicalize_name(requirement.name) == "tensorflow":
        extras = "[and-cuda]"
    version = requirement.specifier or f"=={release.version}"
    return spelled(Requirement(f"{requirement.name}{extras}{version}{_marker(requirement)}"))


def _marker(requirement: Requirement) -> str:
    return f" ; {requirement.marker}" if requirement.marker else ""


def _extras(requirement: Requirement) -> str:
    extras = sorted({canonicalize_name(extra) for extra in requirement.extras})
    return f"[{','.join(extras)}]" if extras else ""


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
