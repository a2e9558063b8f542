"""From slots to a running script, and from a running script to the reason of its end."""

import signal
from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from compute.errors import LaunchRefused
from compute.plan import LaunchPlan, TaskPlan
from compute.registry import backend_of
from runs.environments import environment_ref, keras_variables
from runs.errors import UserError
from runs.ingest.tokens import task_token
from runs.lifecycle import run_transition
from runs.models import Attempt, Run, Task
from runs.sealing import unseal
from runs.snapshots import snapshot_plan
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
    if all(task.state in (TaskState.RUNNING, *TASK_ENDED) for task in tasks):
        run_transition(run, to=RunState.RUNNING, message="The script is running.")
        return None
    return SOON_S


def step_running(run: Run) -> float | None:
    """Ends the run when its tasks have ended or its time is over."""
    tasks = list(latest_attempt(run).tasks.all())
    ending = end_of(tasks)
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


def end_of(tasks: list[Task]) -> tuple[EndReason, str] | None:
    """Why a run with these tasks ends now; None while it goes on. The first failing task decides."""
    failed = first_failed(tasks)
    if failed is not None:
        return _failure(failed)
    if all(task.state in TASK_ENDED for task in tasks if task.ends_run):
        return EndReason.SUCCEEDED, "The script ended well."
    return None


def first_failed(tasks: Iterable[Task]) -> Task | None:
    """The task that failed first: by the time of its end, then in launch order."""
    failed = (task for task in tasks if _has_failed(task))
    return min(failed, key=lambda task: (task.ended_at is None, task.ended_at, task.pk), default=None)


def task_plan(run: Run, task: Task) -> TaskPlan:
    """Everything that ``task`` needs to start; the same every time.

    Raises UserError when the run's environment is gone or its secrets cannot be read.
    """
    spec = run.effective_spec
    if run.environment is None:
        raise UserError("The environment was deleted before the run could start in it. Clone the run to build it.")
    environment = environment_ref(run.environment)
    azure_id = f"{run.experiment.name}_{run.number}"
    return TaskPlan(
        key=task.key,
        role=task.role,
        index=task.index,
        node=task.node_name,
        argv=(str(environment.python), spec.entry_script, *spec.argv),
        environ={
            **keras_variables(run.lock, legacy_keras=spec.legacy_keras),
            **spec.environment_variables,
            **unseal(run.sealed_variables),
            "AZUREML_RUN_ID": azure_id,
            "TRAINHOUSE_RUN_ID": str(run.pk),
            "TRAINHOUSE_RUN_NAME": run.title,
            "TRAINHOUSE_RUN_NUMBER": str(run.number),
            "TRAINHOUSE_EXPERIMENT": run.experiment.name,
            "TRAINHOUSE_URL": settings.PUBLIC_URL,
        },
        environment=environment,
        snapshot=snapshot_plan(run.snapshot),
        token=task_token(task.pk),
        server_url=settings.TASK_SERVER_URL,
        gpu_indexes=tuple(slot["gpu"] for slot in task.slots if "gpu" in slot),
        labels={
            "trainhouse.run": str(run.pk),
            "trainhouse.task": task.key,
            "trainhouse.role": task.role,
            "trainhouse.index": str(task.index),
        },
        grace_s=settings.ENV.stop_grace_s,
        log_limit_bytes=settings.ENV.log_limit_bytes,
        keras_metrics=spec.keras_metrics,
        gpu_probe=spec.use_gpu,
        cache_key=str(run.owner_id),
    )


def _launch(run: Run, attempt: Attempt, tasks: list[Task]) -> None:
    backend = backend_of(run.target)
    plan = LaunchPlan(key=f"attempt-{attempt.pk}", tasks=tuple(task_plan(run, task) for task in tasks))
    Run.objects.filter(pk=run.pk).update(launch_request=backend.render(plan))
    by_key = {task.key: task for task in tasks}
    for handle in backend.launch(plan):
        task = by_key[handle.key]
        # The harness may have reported before this line: its word about the state is newer than ours.
        Task.objects.filter(pk=task.pk).update(handle={"key": handle.key, "node": handle.node, "native": handle.native})
        Task.objects.filter(pk=task.pk, state=TaskState.PENDING).update(state=TaskState.STARTING)


def _has_failed(task: Task) -> bool:
    if task.state == TaskState.LOST:
        return True
    return task.state == TaskState.EXITED and (task.exit_code != 0 or task.exit_signal is not None)


def _failure(task: Task) -> tuple[EndReason, str]:
    who = "The script" if (task.role, task.index) == ("chief", 0) else f"{task.role} {task.index}"
    if task.state == TaskState.LOST:
        return EndReason.TASK_LOST, f"{who} disappeared on {task.node_name} without leaving an exit code."
    if task.out_of_memory:
        return EndReason.OUT_OF_MEMORY, f"{who} was killed because {task.node_name} ran out of memory."
    if task.exit_signal is not None:
        return EndReason.KILLED, f"{who} was killed by signal {task.exit_signal} ({_signal_name(task.exit_signal)})."
    if task.saw_no_gpu:
        return EndReason.GPU_NOT_SEEN, (
            f"TensorFlow sees no GPU on {task.node_name}, so the script was not started rather than train on the CPU. "
            "The log has what was looked at."
        )
    return EndReason.SCRIPT_FAILED, f"{who} ended with exit code {task.exit_code}."


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "no name"
