"""What the supervisor does in its rounds; each is short, and harmless to repeat."""

import logging
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from compute.errors import ComputeError
from compute.registry import backend_of
from runs.dispatch import enqueue_advance, enqueue_build
from runs.environments import environment_give_up, environment_is_being_built
from runs.models import Environment, Run, Task
from runs.snapshots import uploads_sweep
from runs.states import ACTIVE, EnvironmentState, RunState
from runs.stores.points import points_compact

logger = logging.getLogger(__name__)

#: A run that was enqueued is left alone for so long, so that a busy queue does not fill with the same hint.
ASK_AGAIN_S = 10.0
MOST_AT_ONCE = 200
#: An order waits so long for its builder before it is made again, and is kept for so long.
BUILDS_ASKED_AFTER = timedelta(minutes=5)
ORDERS_KEPT = timedelta(hours=6)
UPLOADS_KEPT = timedelta(days=1)


def enqueue_due() -> int:
    """Asks for every run whose time has come, and returns how many. All hints lost, this is what brings them back."""
    now = timezone.now()
    due = Run.objects.filter(state__in=ACTIVE, due_at__lte=now).order_by("due_at")
    run_ids = list(due.values_list("pk", flat=True)[:MOST_AT_ONCE])
    if run_ids:
        # Only when it is still due: a step that ran meanwhile has set a time of its own.
        Run.objects.filter(pk__in=run_ids, due_at__lte=now).update(due_at=now + timedelta(seconds=ASK_AGAIN_S))
    for run_id in run_ids:
        enqueue_advance(run_id)
    return len(run_ids)


def enqueue_builds() -> int:
    """Asks again for what was ordered ahead of any run and is built by nobody, since its hint was lost or its builder
    killed; returns for how many. A run asks for its own. What has not come to an end long after its order is given up,
    so that a build that takes its builder down does not go on for ever."""
    now = timezone.now()
    ordered = Environment.objects.filter(
        state__in=(EnvironmentState.REQUESTED, EnvironmentState.BUILDING), state_since__lt=now - BUILDS_ASKED_AFTER
    )
    asked = 0
    for environment in ordered.exclude(runs__state__in=ACTIVE).order_by("state_since")[:MOST_AT_ONCE]:
        if environment_is_being_built(environment):
            continue
        if (environment.last_used_at or environment.created_at) < now - ORDERS_KEPT:
            environment_give_up(environment)
        else:
            enqueue_build(environment.pk)
            asked += 1
    return asked


def renew_deadlines() -> int:
    """Gives each run whose deadline passed while nobody was here its state's whole time again; returns how many.

    Called at a start, before the first worker: what the platform was too late for is not the run's fault.
    """
    now = timezone.now()
    late = Run.objects.filter(state__in=ACTIVE, deadline_at__lte=now)
    times_s = {
        RunState.PREPARING: settings.ENV.preparing_deadline_s,
        RunState.STARTING: settings.ENV.starting_deadline_s,
        RunState.STOPPING: settings.ENV.stopping_deadline_s,
    }
    return sum(
        late.filter(state=state).update(deadline_at=now + timedelta(seconds=time_s))
        for state, time_s in times_s.items()
    )


def announce_server() -> None:
    """Writes the server's address into the folder of every living task: it may have come back elsewhere."""
    living = Task.objects.filter(attempt__ended_at=None, attempt__run__state__in=ACTIVE, handle__isnull=False)
    for task in living.select_related("attempt__run__target"):
        try:
            backend_of(task.attempt.run.target).announce(task.backend_handle, settings.TASK_SERVER_URL)
        except (ComputeError, OSError) as error:  # whatever this task has prepared, the others hear of it
            logger.warning("%s cannot be told the server's address: %s", task, error)


def compact_points() -> None:
    """Sorts the points of recent requests into the chunks of their series."""
    while points_compact(most_batches=500):
        pass


def sweep_uploads() -> None:
    """Removes uploads that never became a run."""
    uploads_sweep(UPLOADS_KEPT)
