"""The only writer of ``Run.state``: checks the table, compares and sets, and writes the event with it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from runs.errors import StaleRun
from runs.live.doorbell import ring
from runs.models import Run, RunEvent
from runs.states import FINAL, FINAL_STATE, TRANSITIONS, EndReason, RunState

if TYPE_CHECKING:
    from accounts.models import User

#: After a transition the supervisor leaves a run alone for so long, because a worker is on it.
SETTLE_S = 3.0


def run_transition(
    run: Run,
    *,
    to: str,
    message: str,
    reason: EndReason | None = None,
    deadline_s: float | None = None,
    actor: User | None = None,
    data: dict[str, Any] | None = None,
    **changes: Any,
) -> None:
    """Moves ``run`` from the state that it was loaded in to ``to``, and says so in an event, in one transaction.

    ``reason`` is needed for STOPPING and only there; ``changes`` are further fields set with the state. The run given
    is brought up to date. Raises StaleRun when another process moved it first, ValueError for a way not in the table.
    """
    if to not in TRANSITIONS[run.state]:
        raise ValueError(f"A run cannot go from {run.state} to {to}.")
    if (to == RunState.STOPPING) != (reason is not None):
        raise ValueError("A reason belongs to STOPPING, and to nothing else.")
    if to in FINAL and to != FINAL_STATE[run.end_reason]:
        raise ValueError(f"A run that ends with {run.end_reason} becomes {FINAL_STATE[run.end_reason]}, not {to}.")
    now = timezone.now()
    fields = {**_times(to, now, deadline_s), "state": to, "state_since": now, "fault_count": 0, **changes}
    if reason is not None:
        fields |= {"end_reason": reason, "end_message": message}
    with transaction.atomic():
        if not Run.objects.filter(pk=run.pk, state=run.state).update(**fields):
            raise StaleRun(f"Run {run.pk} is no longer {run.state}.")
        event_add(run, kind=str(to), message=message, actor=actor, data=data)
    for name, value in fields.items():
        setattr(run, name, value)


def event_add(
    run: Run, *, kind: str, message: str, actor: User | None = None, data: dict[str, Any] | None = None
) -> None:
    """Writes down something that happened to ``run`` and rings for whoever looks at it."""
    RunEvent.objects.create(run=run, kind=kind, message=message, actor=actor, data=data or {})
    run_id = run.pk
    transaction.on_commit(lambda: ring(run_id))


def _times(to: str, now: datetime, deadline_s: float | None) -> dict[str, Any]:
    times: dict[str, Any] = {
        "due_at": None if to in FINAL else now + timedelta(seconds=SETTLE_S),
        "deadline_at": None if deadline_s is None else now + timedelta(seconds=deadline_s),
    }
    if to == RunState.RUNNING:
        times["started_at"] = now
    if to in FINAL:
        times["ended_at"] = now
    return times
