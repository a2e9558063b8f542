"""Submitting a run: checked whole, stored once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.conf import settings

from compute.leases import inventory_of
from compute.models import ComputeTarget
from compute.registry import backend_of
from runs.distribution import distribution_of
from runs.distribution.room import room_problems
from runs.environments import (
    advice_before,
    newest_remembered,
    shadow_warnings,
    versions,
    wishes_of,
    withdrawn,
)
from runs.environments.definitions import effective
from runs.environments.horovod.wanted import horovod_wanted
from runs.errors import SpecProblems
from runs.models import Run, Snapshot
from runs.permissions import targets_for
from runs.services.definitions import definition_find, definition_problems
from runs.services.horovod import horovod_advice_at, horovod_problems_at
from runs.services.store import clean_tags, run_store, run_stored
from runs.services.surroundings import readable, target_facts
from runs.snapshots import snapshot_paths, snapshot_reader
from runs.spec import (
    Definition,
    Problem,
    RunSpec,
    Surroundings,
    TargetFacts,
    experiment_name_problems,
    problems,
)

if TYPE_CHECKING:
    from accounts.models import User

#: The fields that say which packages are installed.
PACKAGE_PROBLEMS = (
    *("pip_packages", "pip_requirements_file"),
    *("conda_packages", "conda_channels", "conda_dependencies_file"),
    "environment_definition",
)
_OF_PACKAGES = frozenset({*PACKAGE_PROBLEMS, "framework_version"})
MOST_TAGS = 50
TAG_LENGTH = 100

#: With a problem in one of these, what the run asks for is not known yet.
_COUNTED = frozenset(
    {
        *("compute_target", "use_gpu", "distributed_backend", "node_count"),
        *("process_count_per_node", "worker_count", "parameter_server_count"),
    }
)
NAME_LENGTH = 200
NOTES_LENGTH = 20_000


def submission_problems(
    spec: RunSpec,
    *,
    user: User,
    snapshot: Snapshot | None,
    experiment_name: str,
    name: str = "",
    tags: Iterable[str] = (),
    notes: str = "",
    definition: Definition | None = None,
    has_lock: bool = False,
) -> list[Problem]:
    """Every problem of a submission by ``user`` at once; empty when it can be submitted. ``definition`` is what the
    named environment means that ``spec`` names, where that is known without looking it up. With ``has_lock`` the
    packages are those of a lock: what would come of them today is not asked."""
    unknown = None
    if definition is None:
        definition, unknown = definition_find(spec.environment_definition, user)
    allowed = {target.name: target for target in targets_for(user)}
    target = allowed.get(spec.compute_target)
    facts = None if target is None else target_facts(target)
    around = Surroundings(
        files=None if snapshot is None else frozenset(snapshot_paths(snapshot)),
        target=facts,
        targets=tuple(allowed),
        versions=versions(),
        withdrawn=withdrawn(),
        allow_urls=settings.ENV.allow_url_packages,
    )
    found = [*problems(spec, around), *_distribution_problems(spec)]
    if has_lock:
        found = [problem for problem in found if problem.field not in _OF_PACKAGES]
    else:
        found += [*_wish_problems(spec, snapshot), *([unknown] if unknown else [])]
        if definition is not None:
            found += _definition_problems(definition, spec=spec, target=facts)
        if target is not None:
            found += horovod_problems_at(target, spec, snapshot=snapshot, definition=definition)
    if target is not None and not any(problem.field in _COUNTED for problem in found):
        found += _room_problems(spec, target)
    return [*experiment_name_problems(experiment_name), *_words(name, tags, notes), *found]


def package_problems(
    spec: RunSpec, *, snapshot: Snapshot | None, definition: Definition | None = None
) -> list[Problem]:
    """The problems of a submission that has got as far as its packages; of the file only once there is a snapshot.
    ``definition`` is what its named environment means."""
    files = None if snapshot is None else frozenset(snapshot_paths(snapshot))
    around = Surroundings(files=files, target=None, allow_urls=settings.ENV.allow_url_packages)
    found = [problem for problem in problems(spec, around) if problem.field in PACKAGE_PROBLEMS]
    if definition is not None:
        found += _definition_problems(definition, spec=spec, target=None)
    found += _wish_problems(spec, snapshot)
    target = ComputeTarget.objects.filter(name=spec.compute_target).first()
    if target is not None:
        found += horovod_problems_at(target, spec, snapshot=snapshot, definition=definition)
    return found


def count_problems(spec: RunSpec) -> list[Problem]:
    """What is wrong with the number of processes and nodes, whatever the target."""
    found = [problem for problem in problems(spec, Surroundings(files=None, target=None)) if problem.field in _COUNTED]
    return [problem for problem in found if problem.field != "compute_target"] or _distribution_problems(spec)


def submission_advice(spec: RunSpec, *, snapshot: Snapshot | None, definition: Definition | None = None) -> list[str]:
    """What is worth knowing before a submission and is no problem of it, as sentences. ``definition`` is what its named
    environment means."""
    target = ComputeTarget.objects.filter(name=spec.compute_target).first()
    horovod = [] if target is None else horovod_advice_at(target, spec, snapshot=snapshot, definition=definition)
    spec, read = effective(spec, definition, None if snapshot is None else snapshot_reader(snapshot))
    wishes = wishes_of(spec, read)
    wanted = horovod_wanted(spec.distributed_backend, wishes.requirements)
    newest = None if target is None else newest_remembered(backend_of(target), horovod=wanted)
    advice = [*advice_before(spec, read, newest=newest), *horovod]
    if snapshot is not None:
        advice += shadow_warnings(snapshot_paths(snapshot), entry_script=spec.entry_script, packages=wishes.lines)
    return advice


def _distribution_problems(spec: RunSpec) -> list[Problem]:
    distribution = distribution_of(spec)
    return [] if distribution is None else distribution.problems(spec)


def _room_problems(spec: RunSpec, target: ComputeTarget) -> list[Problem]:
    """Whether ``target`` is large enough, however busy it is."""
    distribution = distribution_of(spec)
    return [] if distribution is None else room_problems(spec, distribution, inventory_of(target))


def _wish_problems(spec: RunSpec, snapshot: Snapshot | None) -> Iterable[Problem]:
    """What is wrong within the files that name packages, and between them and the packages of the form. That a file
    is not there is said elsewhere."""
    return wishes_of(*readable(spec, snapshot)).problems


def run_submit(
    *,
    owner: User,
    spec: RunSpec,
    experiment_name: str,
    snapshot: Snapshot,
    submission_key: str,
    name: str = "",
    tags: Iterable[str] = (),
    notes: str = "",
    cloned_from: Run | None = None,
) -> Run:
    """Stores a run and sets it going. The same ``submission_key`` of the same owner gives the same run.

    Values of secret-looking variables are stored encrypted and appear masked in the run's spec. A named environment is
    pinned to its version, and what that holds is kept with the run.
    Raises SpecProblems with every problem at once.
    """
    earlier = run_stored(owner, submission_key)
    if earlier is not None:
        return earlier
    tags = clean_tags(tags)
    definition, _ = definition_find(spec.environment_definition, owner)
    found = submission_problems(
        spec,
        user=owner,
        snapshot=snapshot,
        experiment_name=experiment_name,
        name=name,
        tags=tags,
        notes=notes,
        definition=definition,
    )
    if found:
        raise SpecProblems(found)
    if definition is not None:
        spec = dataclasses.replace(spec, environment_definition=definition.reference)
    return run_store(
        owner=owner,
        spec=spec,
        definition_json=None if definition is None else definition.to_json(),
        experiment_name=experiment_name,
        submission_key=submission_key,
        message="The run was submitted.",
        name=name.strip(),
        tags=tags,
        notes=notes,
        snapshot=snapshot,
        cloned_from=cloned_from,
    )


def _definition_problems(definition: Definition, *, spec: RunSpec, target: TargetFacts | None) -> list[Problem]:
    """What is wrong with the content of a named environment, for a run that cannot change it."""
    found = definition_problems(definition, spec=spec, target=target)
    return [
        Problem(field="environment_definition", message=f"{definition.reference}: {problem.message}")
        for problem in found
    ]


def _words(name: str, tags: Iterable[str], notes: str) -> list[Problem]:
    found = []
    if len(name) > NAME_LENGTH:
        found.append(Problem(field="name", message=f"The name has {len(name)} characters; it may have {NAME_LENGTH}."))
    tags = list(tags)
    if len(tags) > MOST_TAGS:
        found.append(Problem(field="tags", message=f"There are {len(tags)} tags; a run may have {MOST_TAGS}."))
    found += [
        Problem(field="tags", message=f"The tag {tag[:40]!r} has {len(tag)} characters; it may have {TAG_LENGTH}.")
        for tag in tags
        if len(tag) > TAG_LENGTH
    ]
    if len(notes) > NOTES_LENGTH:
        message = f"The notes have {len(notes):,} characters; they may have {NOTES_LENGTH:,}."
        found.append(Problem(field="notes", message=message))
    return found
