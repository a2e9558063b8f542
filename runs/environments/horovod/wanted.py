"""Whether a run wants Horovod, and what stands against it. Pure.

It is wanted by the distribution ``mpi``, and by naming it among the packages. In both cases the wheel that is built
here is what gets installed, so only lines that it satisfies are taken.
"""

from __future__ import annotations

from collections.abc import Iterable

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from runs.environments.catalogue import HorovodRecipe, known, releases
from runs.environments.horovod.recipe import NAME, SDIST_SHA256, VERSION
from runs.environments.requirements import Asked
from runs.errors import EnvironmentFailed

#: Extras of Horovod that the wheel satisfies: it is built for TensorFlow and its Keras.
_SATISFIED_EXTRAS = frozenset({"tensorflow", "tensorflow-cpu", "tensorflow-gpu", "keras"})


def is_horovod(requirement: Requirement) -> bool:
    """Whether this line names Horovod."""
    return canonicalize_name(requirement.name) == NAME


def horovod_wanted(backend: str | None, requirements: Iterable[Asked]) -> bool:
    """Whether a run of this distribution and these requirements needs Horovod."""
    return backend == "mpi" or any(is_horovod(asked.requirement) for asked in requirements)


def line_problem(asked: Asked) -> str:
    """Why the wheel that is built here is not what this line of Horovod asks for, as a sentence; empty when it is."""
    requirement, line = asked.requirement, str(asked.requirement)
    built = f"Horovod {VERSION} is the version that is built here, for the run's TensorFlow"
    others = sorted({canonicalize_name(extra) for extra in requirement.extras} - _SATISFIED_EXTRAS)
    if requirement.url:
        return f"{line!r} ({asked.where}) names an address. {built}: write horovod alone."
    if others:
        return f"{line!r} ({asked.where}) asks for {', '.join(others)}. {built} and Keras alone: write horovod."
    if requirement.marker:
        return f"{line!r} ({asked.where}) has a condition. {built}: write horovod alone, or leave it out."
    if not requirement.specifier.contains(VERSION, prereleases=True):
        return f"{line!r} ({asked.where}) cannot be met. {built}: write horovod, or horovod=={VERSION}."
    if asked.hashes and f"sha256:{SDIST_SHA256}" not in asked.hashes:
        return f"{line!r} ({asked.where}) names another hash than that of the release. {built}: leave the hashes out."
    return ""


def recipe_of(version: str) -> HorovodRecipe:
    """The recipe for TensorFlow of this version, or of its minor version. Raises EnvironmentFailed without one."""
    found = recipe_found(version)
    if found is None:
        raise EnvironmentFailed(f"TensorFlow {version} has no Horovod here: {_choose()}")
    return found


def recipe_found(version: str) -> HorovodRecipe | None:
    """As ``recipe_of``; None without one."""
    minor = _minor(version)
    return next((row.horovod for row in known() if row.horovod and _minor(row.version) == minor), None)


def framework_problem(framework: Iterable[str]) -> str:
    """Why there is no Horovod for these requirements of TensorFlow, as a sentence; empty when there is, and where only
    the resolver can say which version it will be."""
    for requirement in map(Requirement, framework):
        if requirement.url or canonicalize_name(requirement.name).startswith("tf-nightly"):
            return f"{str(requirement)!r} is no release that Horovod can be built for: {_choose()}"
        pins = [item.version for item in requirement.specifier if item.operator in ("==", "===", "~=")]
        try:
            for pin in pins:
                recipe_of(pin)
        except EnvironmentFailed as error:
            return str(error)
    return ""


def _choose() -> str:
    versions = [row.version for row in releases() if row.horovod]
    return f"it is built for {', '.join(versions)} and others of these minor versions. Choose one of them."


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
