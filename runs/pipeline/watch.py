"""Looks after running tasks from outside: a task that died without a word is found, its spool is brought home."""

import logging
from collections import defaultdict
from datetime import timedelta

from django.utils.timezone import now

from compute.backends.base import ComputeBackend
from compute.errors import ComputeError, LaunchRefused
from compute.plan import ExitRecord, LaunchPlan, Liveness, TaskStatus
from compute.registry import backend_of
from runs.dispatch import enqueue_advance
from runs.ingest.drain import task_drain
from runs.ingest.effects import exit_note
from runs.ingest.meeting import cluster_of
from runs.lifecycle import event_add
from runs.models import Run, RunEvent, Task
from runs.pipeline.alone import run_alone
from runs.pipeline.launch import SILENT_START_S
from runs.pipeline.plan import task_plan
from runs.states import TASK_ENDED, RunState, TaskState

logger = logging.getLogger(__name__)

#: A task whose last word is older is read from its spool directly.
SILENCE_S = 20.0

#: An exit that the task's folder shows and the harness has not told is believed after this.
EXIT_PATIENCE_S = 3.0

#: One look reads this long from a spool, so that many silent tasks do not hold up the rounds; the next goes on.
DRAIN_STEP_S = 1.0

#: So many harnesses of a task are replaced at once; later ones after a pause that doubles, up to so many seconds.
AGAIN_AT_ONCE = 3
AGAIN_MOST_S = 300.0

_LAUNCHED = (RunState.STARTING, RunState.RUNNING)


def watch_runs() -> None:
    """One look at every launched task of every run, batched by target. An unreachable target is passed over."""
    for target, tasks in _launched_tasks().items():
        try:
            backend = backend_of(target)
            statuses = backend.observe([task.backend_handle for task in tasks])
        except ComputeError as error:
            logger.warning("Target %s cannot be observed: %s", target, error)
            continue
        for task in tasks:
            try:
                look_after(task, statuses[task.key], backend)
            except Exception:  # whatever this task has prepared, the others are looked after
                logger.exception("A task cannot be looked after", extra={"task": task.pk})


def look_after(task: Task, status: TaskStatus, backend: ComputeBackend) -> None:
    """Acts on one observation of one task."""
    run = task.attempt.run
    if task.state in TASK_ENDED:
        return
    if status.exit is not None:
        _believe_exit(run, task, status.exit, backend)
    elif status.liveness is Liveness.UNWATCHED or (status.liveness is Liveness.ABSENT and _waits_for_others(task)):
        with run_alone(run.pk, patience_s=0.0) as mine:
            # Launched beside a worker that ends the run, the same script would start once more in a new folder.
            if mine and Run.objects.filter(pk=run.pk, state__in=_LAUNCHED).exists():
                _watch_again(run, task, backend)
    elif status.liveness is Liveness.ALIVE:
        if _is_silent(task):
            _fetch(run, task, backend)
    else:
        _lose(run, task, backend)


def _launched_tasks() -> dict:
    tasks = Task.objects.filter(
        attempt__run__state__in=_LAUNCHED, attempt__ended_at=None, handle__isnull=False
    ).select_related(
        "attempt__run__target", "attempt__run__experiment", "attempt__run__environment", "attempt__run__snapshot"
    )
    by_target = defaultdict(list)
    for task in tasks:
        by_target[task.attempt.run.target].append(task)
    return by_target


def _waits_for_others(task: Task) -> bool:
    """Whether its script cannot have started, because not all tasks that it has to meet have said where they are.
    Launched again, such a task goes on waiting, at the same port."""
    return task.meets and cluster_of(task.attempt_id) is None


def _is_silent(task: Task) -> bool:
    last = task.heartbeat_at or task.attempt.started_at
    patience_s = SILENT_START_S if task.heartbeat_at is None else SILENCE_S
    return now() - last > timedelta(seconds=patience_s)


def _watch_again(run: Run, task: Task, backend: ComputeBackend) -> None:
    """Starts a new harness: at once the first times, then less and less often, for a script that ends every one.

    Between, its output is read from its folder.
    """
    earlier = RunEvent.objects.filter(run=run, kind="harness", data__task=task.pk)
    last, count = earlier.last(), earlier.count()
    wait_s = min(AGAIN_MOST_S, 2.0**count) if count >= AGAIN_AT_ONCE else 0.0
    if last is not None and now() - last.at < timedelta(seconds=wait_s):
        if _is_silent(task):
            _fetch(run, task, backend)
        return
    message = f"The harness of {task} had gone; a new one watches the script, which went on."
    event_add(run, kind="harness", message=message, data={"task": task.pk})
    try:
        backend.launch(LaunchPlan(key=f"attempt-{task.attempt_id}", tasks=(task_plan(run, task),)))
    except LaunchRefused as refusal:
        logger.warning("%s cannot be watched again: %s", task, refusal)


def _fetch(run: Run, task: Task, backend: ComputeBackend) -> None:
    """The task lives and does not reach the server: its spool is read from here."""
    task_drain(task, backend, step_s=DRAIN_STEP_S)
    if _waits_for_others(task):
        return
    if Task.objects.filter(pk=task.pk, state=TaskState.STARTING).update(state=TaskState.RUNNING, started_at=now()):
        message = f"{task} runs but does not reach the server; its output is read from its folder."
        event_add(run, kind="harness", message=message)
        enqueue_advance(run.pk)


def _believe_exit(run: Run, task: Task, record: ExitRecord, backend: ComputeBackend) -> None:
    # The time is the task's own word: one that lies in the future is not waited for.
    if 0 <= now().timestamp() - record.ended_at < EXIT_PATIENCE_S:
        return
    task_drain(task, backend, step_s=DRAIN_STEP_S)
    exit_note(task.pk, record)
    enqueue_advance(run.pk)


def _lose(run: Run, task: Task, backend: ComputeBackend) -> None:
    task_drain(task, backend, step_s=DRAIN_STEP_S)
    if Task.objects.filter(pk=task.pk).exclude(state__in=TASK_ENDED).update(state=TaskState.LOST, ended_at=now()):
        event_add(run, kind="lost", message=f"{task} disappeared on {task.node_name}.")
        enqueue_advance(run.pk)
