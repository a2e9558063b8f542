"""From a run's spec to the row of its environment."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from packaging.requirements import Requirement

from compute.backends.base import ComputeBackend
from compute.models import ComputeTarget
from runs.environments.catalogue import Release, find, versions, withdrawn
from runs.environments.conda.plan import conda_described, conda_interpreter, conda_plan
from runs.environments.conda.wishes import fitting_pythons
from runs.environments.horovod.describing import OVERRIDE, horovod_described
from runs.environments.horovod.wanted import horovod_wanted
from runs.environments.interpreters import Interpreter
from runs.environments.newest import newest_release
from runs.environments.packages import Packages, packages_of, release_for
from runs.environments.realised import environment_is_intact
from runs.environments.requirements import Read
from runs.environments.sources import sources_described
from runs.environments.wishes import Wishes, wishes_checked
from runs.errors import EnvironmentFailed
from runs.models import Environment
from runs.snapshots import Trees
from runs.spec import RunSpec
from runs.states import EnvironmentState

SCHEMA_VERSION = 1


def environment_request(
    spec: RunSpec,
    target: ComputeTarget,
    backend: ComputeBackend,
    read: Read | None = None,
    trees: Trees | None = None,
) -> Environment:
    """The environment that ``spec`` needs on ``target``, ordered unless it is there: the newest revision that was ever
    built. ``read`` opens the files of its snapshot, ``trees`` keeps parts of it for the build.

    To be called once a run. A FAILED one is ordered anew (REQUESTED), because the reason may be gone by now, and so are
    an EVICTED one and a READY one that is damaged; everything else is left as it is. Two processes get the same row.
    May block for some seconds, since Pythons are tried out. Raises EnvironmentFailed when no version, no Python or no
    package line fits.
    """
    wishes = environment_spec(spec, backend, read, trees, is_there=lambda found: wishes_are_there(found, target))
    newest = revision_taken(wishes, target)
    return environment_order(wishes if newest is None else newest.spec, target)


def environment_order(canonical: dict[str, Any], target: ComputeTarget) -> Environment:
    """The row of this very description on ``target``, ordered unless it is there, as ``environment_request`` does."""
    environment, made = Environment.objects.get_or_create(
        target=target,
        digest=spec_digest(canonical),
        defaults={
            "spec": canonical,
            "wishes": spec_digest(environment_wishes(canonical, with_lock=True)),
            "revision": canonical.get("revision", 1),
            "python_version": canonical["python"]["version"],
        },
    )
    if not made and _has_to_be_built_again(environment):
        Environment.objects.filter(pk=environment.pk, state=environment.state).update(
            state=EnvironmentState.REQUESTED, state_since=timezone.now(), error="", progress={}
        )
    Environment.objects.filter(pk=environment.pk).update(last_used_at=timezone.now())
    environment.refresh_from_db()
    return environment


def environment_wishes(canonical: dict[str, Any], *, with_lock: bool = False) -> dict[str, Any]:
    """What a description asks for, without how the environment came about: its revision and, unless ``with_lock``, the
    lock that it was ordered by."""
    return {name: value for name, value in canonical.items() if name != "revision" and (with_lock or name != "lock")}


def revision_taken(wishes: dict[str, Any], target: ComputeTarget) -> Environment | None:
    """The revision that runs with these wishes take: the newest that was ever built, otherwise the newest."""
    revisions = revisions_of(wishes, target)
    return revisions.exclude(lock="").first() or revisions.first()


def wishes_are_there(wishes: dict[str, Any], target: ComputeTarget) -> bool:
    """Whether runs with these wishes find their environment on ``target`` built and whole."""
    newest = revision_taken(wishes, target)
    return newest is not None and newest.state == EnvironmentState.READY and environment_is_intact(newest)


def revisions_of(wishes: dict[str, Any], target: ComputeTarget) -> QuerySet[Environment]:
    """All revisions of these wishes on ``target``, the newest first."""
    return Environment.objects.filter(target=target, wishes=spec_digest(wishes)).order_by("-revision")


def environment_spec(
    spec: RunSpec,
    backend: ComputeBackend,
    read: Read | None = None,
    trees: Trees | None = None,
    *,
    is_there: Callable[[dict[str, Any]], bool] = lambda canonical: False,
) -> dict[str, Any]:
    """The canonical description of the environment: the same needs have the same one, however they are written and
    whatever the file is called that says so. Conda channels are asked whether they answer unless an environment of
    their packages ``is_there``."""
    if (file := spec.pip_requirements_file or spec.conda_dependencies_file) and read is None:
        raise ValueError(f"{file!r} belongs to a snapshot, and there is none to read it from.")
    wishes = wishes_checked(spec, read)
    horovod = horovod_wanted(spec.distributed_backend, wishes.requirements)
    newest = None if spec.framework_version else newest_release(backend, horovod=horovod)
    chosen = release_chosen(spec.framework_version) if newest is None else newest.release
    release = release_for(wishes.lines, chosen)
    fitting = fitting_pythons(release.pythons, wishes.conda)
    if newest is not None and release == newest.release and newest.interpreter.minor in fitting:
        interpreter = newest.interpreter
    else:
        wanted_by = f"TensorFlow {release.version}"
        interpreter = conda_interpreter(backend, release.pythons, wishes.conda, wanted_by=wanted_by)

    def describe(lines: tuple[str, ...], conda: dict[str, Any] | None) -> dict[str, Any]:
        packages = packages_of(
            lines, release, gpu=spec.use_gpu, machine=interpreter.machine, legacy_keras=spec.legacy_keras
        )
        described = _described(packages, wishes, release, interpreter, gpu=spec.use_gpu)
        if wishes.sources:
            described["sources"] = sources_described(wishes.sources, trees)
        if conda is not None:
            described["conda"] = conda
        if horovod:
            described["horovod"] = horovod_described(packages.framework, interpreter, backend, gpu=spec.use_gpu)
            described["overrides"].append(OVERRIDE)
        return described

    conda = conda_described(wishes.conda, release.pythons)
    found = describe(wishes.lines, conda)
    if conda is None or is_there(found):
        return found
    plan = conda_plan(wishes.conda, backend, interpreter, conda)
    return found if plan is None else describe((*wishes.lines, *plan.lines), plan.described)


def spec_digest(canonical: dict[str, Any]) -> str:
    """The SHA-256 of a canonical description."""
    text = json.dumps(canonical, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def spec_packages(canonical: dict[str, Any]) -> list[str]:
    """Every requirement of a canonical description, as it goes to the resolver."""
    needed = canonical.get("horovod", {}).get("requires", [])
    return [*canonical["framework"]["requirements"], *canonical["added"], *canonical["packages"], *needed]


def spec_addresses(canonical: dict[str, Any]) -> set[str]:
    """The addresses that its requirements name."""
    return {url for line in spec_packages(canonical) if (url := Requirement(line).url)}


def release_chosen(version: str) -> Release:
    """The release of this version. Raises EnvironmentFailed when it is not on offer."""
    release = find(version)
    if release is not None:
        return release
    why = "is switched off here" if version in withdrawn() else "is not in the catalogue"
    raise EnvironmentFailed(f"TensorFlow {version} {why}. Known versions: {', '.join(versions())}.")


def _described(
    packages: Packages, wishes: Wishes, release: Release, interpreter: Interpreter, *, gpu: bool
) -> dict[str, Any]:
    return {
        "schema": SCHEMA_VERSION,
        "framework": {
            "version": release.version,
            "requirements": list(packages.framework),
            "pinned_by": "user" if packages.framework_pinned else "platform",
        },
        "added": list(packages.added),
        "packages": list(packages.asked),
        "overrides": list(packages.overrides),
        "constraints": wishes.limits,
        "hashes": wishes.hashes,
        "python": interpreter.identity,
        "gpu": gpu,
    }


def _has_to_be_built_again(environment: Environment) -> bool:
    if environment.state in (EnvironmentState.FAILED, EnvironmentState.EVICTED, EnvironmentState.UNCHANGED):
        return True
    return environment.state == EnvironmentState.READY and not environment_is_intact(environment)
