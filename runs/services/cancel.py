"""Cancelling a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from runs.dispatch import enqueue_advance
from runs.errors import NotNow
from runs.lifecycle import event_add
from runs.models import Run
from runs.states import ACTIVE, RunState

if TYPE_CHECKING:
    from accounts.models import User


def run_cancel(run: Run, *, actor: User) -> None:
    """Asks for the run's end; a worker brings it about. Asking twice is asking once.

    Raises NotNow when the run has ended already.
    """
    with transaction.atomic():
        asked = Run.objects.filter(pk=run.pk, state__in=ACTIVE, cancel_requested_at=None).exclude(
            state=RunState.STOPPING
        )
        now = timezone.now()
        if asked.update(cancel_requested_at=now, due_at=now):
            event_add(run, kind="cancel", message=f"{actor} asked to cancel the run.", actor=actor)
            enqueue_advance(run.pk)
            return
    run.refresh_from_db()
    if run.is_final:
        raise NotNow(f"{run} has ended already: it is {run.get_state_display().lower()}.")
