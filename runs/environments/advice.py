"""What a person should know of the packages of a run, in sentences: before it is submitted, and on its page."""

from __future__ import annotations

from typing import Any

from runs.environments.packages import FIRST_WITH_KERAS_3, framework_minor, packages_of, release_for
from runs.environments.request import release_chosen
from runs.environments.requirements import Read
from runs.environments.wishes import Wishes, wishes_of
from runs.errors import EnvironmentFailed
from runs.spec import RunSpec

#: The architecture makes no difference to the versions, which is all that is said here.
_ANY_MACHINE = "x86_64"


def advice_before(spec: RunSpec, read: Read | None) -> list[str]:
    """For the form. Empty where problems stand in the way, which are said elsewhere."""
    try:
        wishes = wishes_of(spec, read)
        chosen = release_chosen(spec.framework_version)
        release = release_for(wishes.lines, chosen)
        packages = packages_of(
            wishes.lines, release, gpu=spec.use_gpu, machine=_ANY_MACHINE, legacy_keras=spec.legacy_keras
        )
    except EnvironmentFailed:
        return []
    advice = [*wishes.conda.notes, *_pin_of(wishes, chosen.version)]
    if spec.legacy_keras:
        advice.append(_keras(framework_minor(packages.framework, release), ", ".join(packages.framework)))
    if spec.use_gpu and any(line.startswith("tensorflow-cpu") for line in packages.framework):
        advice.append("tensorflow-cpu can use no GPU, so the run will be ended before the script. Name tensorflow.")
    return advice


def advice_on(canonical: dict[str, Any], *, legacy_keras: bool) -> list[str]:
    """For the page of a run whose environment has this canonical description."""
    framework = canonical.get("framework")
    if not framework:
        return []
    named = ", ".join(framework["requirements"])
    advice = conda_advice(canonical)
    if framework["pinned_by"] == "user":
        advice.append(f"TensorFlow is pinned by the run itself ({named}), which wins over the platform's choice.")
    if legacy_keras:
        advice.append(_keras(framework_minor(framework["requirements"], release_chosen("")), named))
    return advice


def conda_advice(canonical: dict[str, Any]) -> list[str]:
    """What became of conda's packages where no channel could be reached; for the run's page, the log and the form."""
    instead = canonical.get("conda", {}).get("instead")
    if instead is None:
        return []
    return ["No conda channel could be reached, so packages come from PyPI.", *instead]


def _pin_of(wishes: Wishes, chosen: str) -> list[str]:
    pin = wishes.framework_pin
    if pin is None:
        return []
    return [
        f"TensorFlow is installed as {str(pin.requirement)!r} ({pin.where}) says, which wins over the chosen version "
        f"{chosen}."
    ]


def _keras(minor: tuple[int, int], named: str) -> str:
    if minor < FIRST_WITH_KERAS_3:
        return f"Legacy Keras has no effect: with {named}, tf.keras is Keras 2 anyway."
    return (
        f"Legacy Keras: tf_keras {minor[0]}.{minor[1]} is installed, and tf.keras is Keras 2 (TF_USE_LEGACY_KERAS=1)."
    )
