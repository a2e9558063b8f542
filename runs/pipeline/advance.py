"""``advance(run)``: moves a run as far as it will go now. Idempotent; one process at a time for each run."""

import contextlib
import logging
import uuid
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from compute.errors import TargetUnreachable
from runs.errors import StaleRun
from runs.lifecycle import event_add, run_transition
from runs.models import Run
from runs.pipeline.alone import run_alone
from runs.pipeline.finish import step_stopping
from runs.pipeline.launch import step_running, step_starting
from runs.pipeline.place import step_waiting
from runs.pipeline.prepare import step_preparing, step_submitted
from runs.states import EndReason, RunState

logger = logging.getLogger(__name__)

#: A step moves its run on, or returns the seconds after which to look again.
Step = Callable[[Run], float | None]

STEPS: dict[str, Step] = {
    RunState.SUBMITTED: step_submitted,
    RunState.PREPARING: step_preparing,
    RunState.WAITING: step_waiting,
    RunState.STARTING: step_starting,
    RunState.RUNNING: step_running,
    RunState.STOPPING: step_stopping,
}

DEADLINE_REASONS = {
    RunState.PREPARING: EndReason.PREPARING_TIMEOUT,
    RunState.STARTING: EndReason.STARTING_TIMEOUT,
}

#: So many faults of the platform in a row, and the run is given up.
MOST_FAULTS = 5
LOCK_PATIENCE_S = 30.0


def advance(run_id: int) -> None:
    """Walks the run's steps until one has to wait, and notes when to look again."""
    with run_alone(run_id, patience_s=LOCK_PATIENCE_S) as mine:
        if not mine:
            return  # whoever holds the lock for so long is still working; the supervisor comes back
        while True:
            run = Run.objects.select_related("experiment", "target", "environment", "snapshot").get(pk=run_id)
            step = STEPS.get(run.state)
            if step is None:
                return
            again_in_s = _take(step, run)
            if again_in_s is not None:
                due_at = timezone.now() + timedelta(seconds=again_in_s)
                Run.objects.filter(pk=run.pk, state=run.state).update(due_at=due_at)
                return


def _take(step: Step, run: Run) -> float | None:
    """One step, with what overrides it before and what may befall it after."""
    try:
        if _is_overridden(run):
            return None
        return step(run)
    except StaleRun:
        return None
    except TargetUnreachable as error:
        _say_unreachable(run, error)
        return 15.0
    except Exception as error:
        return _fault(run, error)


def _say_unreachable(run: Run, error: TargetUnreachable) -> None:
    """Says it once, however long the target stays away."""
    latest = run.events.order_by("id").last()
    if latest is None or latest.kind != "unreachable":
        event_add(run, kind="unreachable", message=f"{run.target} does not answer: {error}. Trying again.")


def _is_overridden(run: Run) -> bool:
    """Whether a cancellation or a deadline has moved the run on."""
    if run.state == RunState.STOPPING:
        return False
    if run.cancel_requested_at is not None:
        run_transition(
            run,
            to=RunState.STOPPING,
            reason=EndReason.CANCELLED,
            message="The run was cancelled.",
            deadline_s=settings.ENV.stopping_deadline_s,
        )
        return True
    reason = DEADLINE_REASONS.get(RunState(run.state))
    if reason is None or run.deadline_at is None or timezone.now() < run.deadline_at:
        return False
    lasted = timezone.now() - run.state_since
    run_transition(
        run,
        to=RunState.STOPPING,
        reason=reason,
        message=f"{reason.label}: it was {run.get_state_display().lower()} for {lasted.total_seconds():.0f} s.",
        deadline_s=settings.ENV.stopping_deadline_s,
    )
    return True


def _fault(run: Run, error: Exception) -> float | None:
    """A bug, or the machine's fault: logged whole under a reference, retried a few times, then the run's end."""
    reference = uuid.uuid4().hex[:8]
    logger.exception("Fault %s in a run's step", reference, extra={"run": run.pk, "state": run.state})
    Run.objects.filter(pk=run.pk).update(fault_count=F("fault_count") + 1)
    if run.fault_count + 1 < MOST_FAULTS or run.state == RunState.STOPPING:
        return 2.0 ** min(run.fault_count + 1, 6)
    with contextlib.suppress(StaleRun):
        run_transition(
            run,
            to=RunState.STOPPING,
            reason=EndReason.PLATFORM_ERROR,
            message=f"The platform failed while the run was {run.get_state_display().lower()} "
            f"({type(error).__name__}). The server's log has it under reference {reference}.",
            deadline_s=settings.ENV.stopping_deadline_s,
        )
    return None
