"""What the index says of the packages of a half-filled form, asked in the background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from compute.errors import TargetUnreachable
from compute.registry import backend_of
from runs.environments import environment_is_intact
from runs.environments.checker import Checker
from runs.environments.definitions import effective
from runs.environments.foresight import Finding, packages_foresee
from runs.environments.request import environment_spec, revision_taken, spec_digest, wishes_are_there
from runs.errors import EnvironmentFailed
from runs.models import Environment, Snapshot
from runs.permissions import targets_for
from runs.pipeline.prepare import spec_for_environment
from runs.selectors.environments import environment_title
from runs.services.submit import package_problems
from runs.snapshots import snapshot_reader, snapshot_trees
from runs.spec import Definition, RunSpec
from runs.states import EnvironmentState

if TYPE_CHECKING:
    from accounts.models import User

_checker = Checker()


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageCheck:
    """Where a check stands. ``state`` is ``none`` (nothing can be said), ``checking``, ``ready``, ``found``,
    ``impossible`` or ``unchecked``; ``digest`` is that of the environment while it is being checked."""

    state: str
    sentence: str = ""
    remarks: tuple[str, ...] = ()
    digest: str = ""


def package_check(
    spec: RunSpec, *, user: User, snapshot: Snapshot | None, definition: Definition | None = None
) -> PackageCheck:
    """Begins a check unless its answer is known, and says where it stands. May block for a second, since Pythons are
    tried out, and for some seconds where a conda channel is silent."""
    target = next((target for target in targets_for(user) if target.name == spec.compute_target), None)
    if spec.environment_definition and definition is None:
        return PackageCheck(state="none")
    if target is None or package_problems(spec, snapshot=snapshot, definition=definition):
        return PackageCheck(state="none")
    spec, read = effective(spec, definition, None if snapshot is None else snapshot_reader(snapshot))
    file = spec.pip_requirements_file or spec.conda_dependencies_file
    if file and read is None:
        return PackageCheck(
            state="unchecked", sentence=f"The packages are checked as soon as {file} is here, with the source."
        )
    if not _checker.may_ask(user.pk):
        return PackageCheck(state="unchecked", sentence="The packages were not checked: wait a minute, then go on.")
    backend = backend_of(target)
    try:
        trees = None if snapshot is None else snapshot_trees(snapshot)
        found = partial(wishes_are_there, target=target)
        canonical = environment_spec(spec_for_environment(spec, target), backend, read, trees, is_there=found)
    except EnvironmentFailed as error:
        return PackageCheck(state="impossible", sentence=str(error))
    except (TargetUnreachable, OSError) as error:
        return PackageCheck(state="unchecked", sentence=f"The packages were not checked: {error}")
    digest = spec_digest(canonical)
    built = revision_taken(canonical, target)
    if built is not None and built.lock:
        return _built(built)
    check: Callable[[], Finding] = partial(packages_foresee, canonical, backend)
    return _said(_checker.ask(digest, person=user.pk, check=check), digest)


def package_check_again(digest: str) -> PackageCheck | None:
    """Where the check of ``digest`` stands; None when it is neither known nor coming any more."""
    is_coming, finding = _checker.look(digest)
    return _said(finding, digest) if is_coming or finding is not None else None


def _said(finding: Finding | None, digest: str) -> PackageCheck:
    if finding is None:
        return PackageCheck(state="checking", sentence="Checking the packages against the index…", digest=digest)
    return PackageCheck(state=finding.outcome.value, sentence=finding.sentence, remarks=finding.remarks)


def _built(environment: Environment) -> PackageCheck:
    """For an environment that was built once: a run gets the very packages of its lock."""
    python = ".".join(environment.python_version.split(".")[:2])
    name = f"{environment_title(environment).name}, for Python {python}"
    if environment.state == EnvironmentState.READY and environment_is_intact(environment):
        return PackageCheck(
            state="ready", sentence=f"Ready: {name}. The environment is there, and nothing has to be built."
        )
    return PackageCheck(
        state="found", sentence=f"Built before: {name}. The environment is installed again by its lock."
    )
