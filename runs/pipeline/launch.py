"""From slots to a running script, and from a running script to the reason of its end."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from compute.errors import LaunchRefused
from compute.plan import LaunchPlan
from compute.registry import backend_of
from runs.distribution import roles_of
from runs.errors import UserError
from runs.lifecycle import run_transition
from runs.models import Attempt, Run, Task
from runs.pipeline.ending import Ending, end_of
from runs.pipeline.plan import task_plan
from runs.states import TASK_ENDED, EndReason, RunState, TaskState

LOOK_AGAIN_S = 5.0
SOON_S = 1.0

#: A launched task that is seen alive counts as started after this, even when no word of it arrives.
SILENT_START_S = 10.0


def step_starting(run: Run) -> float | None:
    """Launches what is not launched yet; the run is RUNNING when all tasks have started."""
    attempt = latest_attempt(run)
    tasks = list(attempt.tasks.all())
    if any(task.handle is None for task in tasks):
        try:
            _launch(run, attempt, tasks)
        except (LaunchRefused, UserError) as error:
            stop_run(run, EndReason.LAUNCH_FAILED, str(error))
            return None
        tasks = list(attempt.tasks.all())
    ending = _ending(run, tasks)
    if ending is not None and ending[0] != EndReason.SUCCEEDED:
        stop_run(run, *ending)  # the others would wait for it in vain
        return None
    if all(task.state in (TaskState.RUNNING, *TASK_ENDED) for task in tasks):
        run_transition(run, to=RunState.RUNNING, message="The script is running.")
        return None
    return SOON_S


def step_running(run: Run) -> float | None:
    """Ends the run when its tasks have ended or its time is over."""
    tasks = list(latest_attempt(run).tasks.all())
    ending = _ending(run, tasks)
    if ending is not None:
        stop_run(run, *ending)
        return None
    limit_s = run.spec.max_run_duration_seconds
    if limit_s is None or run.started_at is None:
        return LOOK_AGAIN_S
    left_s = limit_s - (timezone.now() - run.started_at).total_seconds()
    if left_s <= 0:
        stop_run(run, EndReason.TIME_LIMIT, f"The run reached its time limit of {timedelta(seconds=limit_s)}.")
        return None
    return min(LOOK_AGAIN_S, left_s)


def latest_attempt(run: Run) -> Attempt:
    """The attempt under way. Raises Attempt.DoesNotExist before there is one."""
    return run.attempts.latest("number")


def stop_run(run: Run, reason: EndReason, message: str) -> None:
    """Sends the run to its end."""
    run_transition(
        run, to=RunState.STOPPING, reason=reason, message=message, deadline_s=settings.ENV.stopping_deadline_s
    )


def _ending(run: Run, tasks: list[Task]) -> Ending | None:
    return end_of(tasks, roles_of(run.spec), now=timezone.now(), rest_grace_s=settings.ENV.rest_grace_s)


def _launch(run: Run, attempt: Attempt, tasks: list[Task]) -> None:
    backend = backend_of(run.target)
    plan = LaunchPlan(
        key=f"attempt-{attempt.pk}",
        tasks=tuple(task_plan(run, task) for task in tasks),
        share_user=run.spec.distribution == "mpi",
    )
    Run.objects.filter(pk=run.pk).update(launch_request=backend.render(plan))
    by_key = {task.key: task for task in tasks}
    for handle in backend.launch(plan):
        task = by_key[handle.key]
        # The harness may have reported before this line: its word about the state is newer than ours.
        Task.objects.filter(pk=task.pk).update(handle={"key": handle.key, "node": handle.node, "native": handle.native})
        Task.objects.filter(pk=task.pk, state=TaskState.PENDING).update(state=TaskState.STARTING)
