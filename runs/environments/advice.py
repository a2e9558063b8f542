"""What a person should know of the packages of a run, in sentences: before it is submitted, and on its page."""

from __future__ import annotations

from typing import Any

from runs.environments.catalogue import newest_offered
from runs.environments.horovod.operations import CPU, WITHOUT_NCCL
from runs.environments.horovod.wanted import horovod_wanted
from runs.environments.lock import lock_horovod
from runs.environments.newest import Newest, version_remarks, why_not_newer
from runs.environments.packages import FIRST_WITH_KERAS_3, framework_minor, packages_of, release_for
from runs.environments.request import release_chosen
from runs.environments.requirements import Read
from runs.environments.wishes import Wishes, wishes_of
from runs.errors import EnvironmentFailed
from runs.spec import RunSpec

#: The architecture makes no difference to the versions, which is all that is said here.
_ANY_MACHINE = "x86_64"


def advice_before(spec: RunSpec, read: Read | None, *, newest: Newest | None = None) -> list[str]:
    """For the form; ``newest`` is what a run gets on its target that names no version. Empty where problems stand in
    the way, which are said elsewhere."""
    by_default = newest if newest and not spec.framework_version else None
    try:
        wishes = wishes_of(spec, read)
        chosen = by_default.release if by_default else release_chosen(spec.framework_version or newest_offered())
        release = release_for(wishes.lines, chosen)
        packages = packages_of(
            wishes.lines, release, gpu=spec.use_gpu, machine=_ANY_MACHINE, legacy_keras=spec.legacy_keras
        )
    except EnvironmentFailed:
        return []
    advice = [*wishes.conda.notes, *_pin_of(wishes, chosen.version)]
    if by_default and not packages.framework_pinned:
        horovod = horovod_wanted(spec.distributed_backend, wishes.requirements)
        sentence = why_not_newer(by_default.release.version, by_default.interpreter.minor, horovod=horovod)
        advice += [sentence] if sentence else []
    if spec.legacy_keras:
        advice.append(_keras(framework_minor(packages.framework, release.version), ", ".join(packages.framework)))
    if spec.use_gpu and any(line.startswith("tensorflow-cpu") for line in packages.framework):
        advice.append("tensorflow-cpu can use no GPU, so the run will be ended before the script. Name tensorflow.")
    return advice


def advice_on(
    canonical: dict[str, Any], *, lock: str = "", legacy_keras: bool, names_version: bool = True
) -> list[str]:
    """For the page of a run whose environment has this canonical description and, once it was built, this lock: another
    Horovod than the described one may have taken its place. ``names_version``: the run itself said which TensorFlow it
    wants."""
    framework = canonical.get("framework")
    if not framework:
        return []
    named = ", ".join(framework["requirements"])
    advice = conda_advice(canonical)
    if framework["pinned_by"] == "user":
        advice.append(f"TensorFlow is pinned by the run itself ({named}), which wins over the platform's choice.")
    elif not names_version:
        advice += version_remarks(canonical)
    if legacy_keras:
        advice.append(_keras(framework_minor(framework["requirements"], framework["version"]), named))
    horovod = lock_horovod(lock) or canonical.get("horovod", {})
    if canonical.get("gpu") and horovod.get("operations") == CPU:
        advice.append(WITHOUT_NCCL)
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
