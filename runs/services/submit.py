"""Submitting a run: checked whole, stored once."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from compute.masking import is_secret_name
from compute.models import ComputeTarget
from compute.registry import backend_of, target_gpus_per_node
from runs.dispatch import enqueue_advance
from runs.environments import advice_before, shadow_warnings, versions, wishes_of
from runs.errors import SpecProblems
from runs.lifecycle import event_add
from runs.models import Experiment, Run, Snapshot
from runs.permissions import targets_for
from runs.sealing import seal
from runs.snapshots import snapshot_paths, snapshot_reader
from runs.spec import (
    Problem,
    RunSpec,
    Surroundings,
    TargetFacts,
    experiment_name_problems,
    path_inside,
    problems,
)
from runs.states import RunState

if TYPE_CHECKING:
    from accounts.models import User

MOST_TAGS = 50
TAG_LENGTH = 100
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
) -> list[Problem]:
    """Every problem of a submission by ``user`` at once; empty when it can be submitted."""
    allowed = {target.name: target for target in targets_for(user)}
    target = allowed.get(spec.compute_target)
    around = Surroundings(
        files=None if snapshot is None else frozenset(snapshot_paths(snapshot)),
        target=None if target is None else _facts(target),
        targets=tuple(allowed),
        versions=versions(),
        allow_urls=settings.ENV.allow_url_packages,
    )
    found = [*problems(spec, around), *_wish_problems(spec, snapshot)]
    return [*experiment_name_problems(experiment_name), *_words(name, tags, notes), *found]


def package_problems(spec: RunSpec, *, snapshot: Snapshot | None) -> list[Problem]:
    """The problems of a submission that has got as far as its packages; of the file only once there is a snapshot."""
    files = None if snapshot is None else frozenset(snapshot_paths(snapshot))
    around = Surroundings(files=files, target=None, allow_urls=settings.ENV.allow_url_packages)
    fields = ("pip_packages", "pip_requirements_file")
    found = [problem for problem in problems(spec, around) if problem.field in fields]
    return [*found, *_wish_problems(spec, snapshot)]


def submission_advice(spec: RunSpec, *, snapshot: Snapshot | None) -> list[str]:
    """What is worth knowing before a submission and is no problem of it, as sentences."""
    read = None if snapshot is None else snapshot_reader(snapshot)
    advice = advice_before(spec, read)
    if snapshot is not None:
        wishes = wishes_of(spec, read)
        advice += shadow_warnings(snapshot_paths(snapshot), entry_script=spec.entry_script, packages=wishes.lines)
    return advice


def _wish_problems(spec: RunSpec, snapshot: Snapshot | None) -> Iterable[Problem]:
    """What is wrong within the requirements file, and between it and the packages of the form."""
    path = path_inside(spec.pip_requirements_file)
    is_there = snapshot is not None and path is not None and snapshot.files.filter(path=path).exists()
    return wishes_of(spec, snapshot_reader(snapshot) if snapshot is not None and is_there else None).problems


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

    Values of secret-looking variables are stored encrypted and appear masked in the run's spec.
    Raises SpecProblems with every problem at once.
    """
    key = f"{owner.pk}:{submission_key}"
    earlier = Run.objects.filter(submission_key=key).first()
    if earlier is not None:
        return earlier
    tags = _clean_tags(tags)
    found = submission_problems(
        spec, user=owner, snapshot=snapshot, experiment_name=experiment_name, name=name, tags=tags, notes=notes
    )
    if found:
        raise SpecProblems(found)
    variables = spec.environment_variables
    secrets = {variable: value for variable, value in variables.items() if is_secret_name(variable)}
    with transaction.atomic():
        # The row's lock makes the posts of one form take turns; a run that came of another is not numbered again.
        experiment, _ = Experiment.objects.select_for_update().get_or_create(
            owner=owner, name=unicodedata.normalize("NFC", experiment_name)
        )
        now = timezone.now()
        run, created = Run.objects.get_or_create(
            submission_key=key,
            defaults={
                "experiment": experiment,
                "number": experiment.run_counter + 1,
                "owner": owner,
                "name": name.strip(),
                "tags": tags,
                "notes": notes,
                "spec_json": spec.masked().to_json(),
                "sealed_variables": seal(secrets),
                "snapshot": snapshot,
                "target": ComputeTarget.objects.get(name=spec.compute_target),
                "cloned_from": cloned_from,
                "state": RunState.SUBMITTED,
                "state_since": now,
                "due_at": now,
            },
        )
        if created:
            Experiment.objects.filter(pk=experiment.pk).update(run_counter=run.number)
            event_add(run, kind=RunState.SUBMITTED, message="The run was submitted.", actor=owner)
            enqueue_advance(run.pk)
    return run


def _facts(target: ComputeTarget) -> TargetFacts:
    return TargetFacts(
        name=target.name,
        abilities=frozenset(ability.value for ability in backend_of(target).abilities),
        gpus_per_node=target_gpus_per_node(target),
        is_open=target.is_open,
    )


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


def _clean_tags(tags: Iterable[str]) -> list[str]:
    """The tags without blanks and repeats, in their order."""
    return list(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
