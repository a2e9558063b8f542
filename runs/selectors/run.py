"""One run as its page shows it: found for a person, and summed up in words."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from django.http import Http404
from django.utils import timezone

from runs.models import Run
from runs.permissions import runs_visible_to
from runs.pipeline.place import runs_ahead
from runs.states import EndReason, RunState

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from accounts.models import User

#: What each state means at this moment, as one sentence.
STATE_WORDS: dict[str, str] = {
    RunState.SUBMITTED: "The run is taken; its environment is looked up next.",
    RunState.PREPARING: "The environment is being built. No slot is held meanwhile.",
    RunState.WAITING: "The environment is ready; the run waits for a free place.",
    RunState.STARTING: "The files are laid out and the script is being started.",
    RunState.RUNNING: "The script is running.",
    RunState.STOPPING: "The script is being ended, and the last lines and files are brought home.",
    RunState.COMPLETED: "The script ended well.",
    RunState.FAILED: "The run failed.",
    RunState.ERRORED: "The run ended for a reason that is not the script's.",
    RunState.CANCELLED: "The run was cancelled.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the script says it is. ``percent`` is 0-100 or None; ``eta_s`` is seconds from ``told_at`` on."""

    epoch: int | None
    epochs: int | None
    batch: int | None
    batches: int | None
    eta_s: float | None
    percent: float | None

    @property
    def words(self) -> str:
        """``Epoch 3 of 20``, with the batch where the epochs are not counted; empty before the first word."""
        if self.epoch is not None:
            return f"Epoch {self.epoch} of {self.epochs}" if self.epochs else f"Epoch {self.epoch}"
        if self.batch is not None:
            return f"Batch {self.batch} of {self.batches}" if self.batches else f"Batch {self.batch}"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """The head of the run page."""

    state: str
    label: str
    sentence: str
    reason: str
    progress: Progress
    started_at: dt.datetime | None
    ended_at: dt.datetime | None
    duration_s: float | None
    can_be_cancelled: bool
    position: int | None


def run_for(user: User | AnonymousUser, pk: int) -> Run:
    """The run ``pk`` with what its page needs of other tables. Raises Http404 when ``user`` may not see it, in the
    same words as when there is none."""
    run = (
        runs_visible_to(cast("User", user))  # every address is behind the sign-in
        .select_related("experiment", "owner", "snapshot", "target", "environment", "cloned_from__experiment")
        .filter(pk=pk)
        .first()
    )
    if run is None:
        raise Http404(f"There is no run {pk} that you may see.")
    return run


def run_summary(run: Run, *, now: dt.datetime | None = None) -> RunSummary:
    """``run`` in words and numbers, at ``now``."""
    return RunSummary(
        state=run.state,
        label=RunState(run.state).label,
        sentence=STATE_WORDS[run.state],
        reason=EndReason(run.end_reason).label if run.end_reason else "",
        progress=progress_of(run.progress),
        started_at=run.started_at,
        ended_at=run.ended_at,
        duration_s=duration_s(run, now=now or timezone.now()),
        can_be_cancelled=run.is_active and run.cancel_requested_at is None and run.state != RunState.STOPPING,
        position=queue_position(run) if run.state == RunState.WAITING else None,
    )


def progress_of(told: dict[str, object]) -> Progress:
    """What the script told, with everything that is no number left out: a script may write anything."""
    epoch, epochs = _whole(told.get("epoch")), _whole(told.get("epochs"))
    batch, batches = _whole(told.get("batch")), _whole(told.get("batches"))
    eta = told.get("eta_s")
    eta_s = float(eta) if isinstance(eta, (int, float)) and math.isfinite(eta) and eta >= 0 else None
    return Progress(
        epoch=epoch,
        epochs=epochs,
        batch=batch,
        batches=batches,
        eta_s=eta_s,
        percent=_percent(epoch, epochs, batch, batches),
    )


def duration_s(run: Run, *, now: dt.datetime) -> float | None:
    """Seconds from the script's start to its end, or to ``now``; None before the start."""
    if run.started_at is None:
        return None
    return max(0.0, ((run.ended_at or now) - run.started_at).total_seconds())


def queue_position(run: Run) -> int:
    """The place among the runs that wait for the same slots, 1 being next."""
    return len(runs_ahead(run)) + 1


def _percent(epoch: int | None, epochs: int | None, batch: int | None, batches: int | None) -> float | None:
    """The share that is done. ``epoch`` counts from 1 and is the one under way while ``batch`` tells of it."""
    within = min(batch / batches, 1.0) if batch is not None and batches else None
    if epoch is not None and epochs:
        done = epoch - 1 + within if within is not None else epoch
        return round(min(max(done / epochs, 0.0), 1.0) * 100, 1)
    if epoch is None and within is not None:
        return round(within * 100, 1)
    return None


def _whole(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return int(value)
