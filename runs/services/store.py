"""Storing a run that was checked, once, and setting it going."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from compute.masking import is_secret_name
from compute.models import ComputeTarget
from runs.dispatch import enqueue_advance
from runs.lifecycle import event_add
from runs.models import Experiment, Run
from runs.sealing import seal
from runs.spec import RunSpec
from runs.states import RunState

if TYPE_CHECKING:
    from accounts.models import User


def run_stored(owner: User, submission_key: str) -> Run | None:
    """The run that this submission made before; None when it made none."""
    return Run.objects.filter(submission_key=_key(owner, submission_key)).first()


def run_store(
    *, owner: User, spec: RunSpec, experiment_name: str, submission_key: str, message: str, **fields: Any
) -> Run:
    """A new run, or the one that the same submission made at the same moment. ``message`` is its first event,
    ``fields`` are further ones of its row. Values of secret-looking variables are stored encrypted and appear masked in
    the run's spec."""
    secrets = {name: value for name, value in spec.environment_variables.items() if is_secret_name(name)}
    with transaction.atomic():
        # The row's lock makes the posts of one form take turns; a run that came of another is not numbered again.
        experiment, _ = Experiment.objects.select_for_update().get_or_create(
            owner=owner, name=unicodedata.normalize("NFC", experiment_name)
        )
        now = timezone.now()
        run, created = Run.objects.get_or_create(
            submission_key=_key(owner, submission_key),
            defaults={
                "experiment": experiment,
                "number": experiment.run_counter + 1,
                "owner": owner,
                "spec_json": spec.masked().to_json(),
                "sealed_variables": seal(secrets),
                "target": ComputeTarget.objects.get(name=spec.compute_target),
                "state": RunState.SUBMITTED,
                "state_since": now,
                "due_at": now,
                **fields,
            },
        )
        if created:
            Experiment.objects.filter(pk=experiment.pk).update(run_counter=run.number)
            event_add(run, kind=RunState.SUBMITTED, message=message, actor=owner)
            enqueue_advance(run.pk)
    return run


def clean_tags(tags: Iterable[str]) -> list[str]:
    """The tags without blanks and repeats, in their order."""
    return list(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))


def _key(owner: User, submission_key: str) -> str:
    return f"{owner.pk}:{submission_key}"
