"""Why a run did not end well, in words: the first task that failed, its exit, its last lines, what to do."""

from __future__ import annotations

from dataclasses import dataclass

from runs.models import Run, Stream, Task
from runs.pipeline.ending import first_failed
from runs.selectors.exits import exit_words
from runs.selectors.hints import hints
from runs.selectors.logs import plain
from runs.states import EndReason, RunState, StreamKind
from runs.stores.logs import log_tail

_LAST_LINES = 30

#: What to do when the log itself says nothing better.
_ADVICE: dict[str, str] = {
    EndReason.SCRIPT_FAILED: "Read the last lines below, mend the script or its parameters, and submit a clone.",
    EndReason.KILLED: "Look at the memory curve under System: it shows whether memory ran out.",
    EndReason.GPU_NOT_SEEN: "The log names the driver, CUDA and what TensorFlow saw. If the driver is well, look at "
    "a pin of TensorFlow: tensorflow-cpu can use no GPU. To train on the CPU, untick the GPU in a clone.",
    EndReason.OUT_OF_MEMORY: "Lower the batch size, load the data in pieces, or choose a target with more memory.",
    EndReason.ENVIRONMENT_FAILED: "Correct what the message names in a clone of this run. If something could not be "
    "reached, submit it again once it can be.",
    EndReason.TIME_LIMIT: "Raise the time limit in a clone, or train for fewer epochs.",
    EndReason.PREPARING_TIMEOUT: "Submit it again: what was already downloaded is kept. Fewer packages build faster.",
    EndReason.STARTING_TIMEOUT: "Submit it again. If it happens twice, an administrator should look at the target.",
    EndReason.STOPPING_TIMEOUT: "An administrator should look at the target: something of the run may be left there.",
    EndReason.LAUNCH_FAILED: "The target refused the launch; the message says why. Choose another, or ask an "
    "administrator.",
    EndReason.PORT_TAKEN: "Nothing is wrong with the script: submit it again, and its tasks get other ports. If it "
    "happens often, an administrator should choose a range that nothing else uses (TRAINHOUSE_LOCAL_PORTS).",
    EndReason.TASK_LOST: "The machine may have been restarted. Nothing is wrong with the script: submit it again.",
    EndReason.PLATFORM_ERROR: "This is not your mistake. Submit it again, and tell an administrator the run's number.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What the top of a failed run's page says. ``text`` is the end of ``stream``, without its colours, from line
    ``first_line`` (from 0)."""

    title: str
    message: str
    task: Task | None
    exit_words: str
    stream: Stream | None
    first_line: int
    text: str
    hints: list[str]


def failure_of(run: Run) -> Failure | None:
    """The explanation of a run that failed or is ending for a bad reason; None for every other run."""
    if run.state not in (RunState.FAILED, RunState.ERRORED, RunState.STOPPING) or not run.end_reason:
        return None
    if run.end_reason in (EndReason.SUCCEEDED, EndReason.CANCELLED):
        return None
    task = first_failed_task(run)
    stream = _stream(run, task)
    page = log_tail(stream.pk, count=_LAST_LINES) if stream else None
    lines = [*page.lines, *([page.tail] if page.tail else [])] if page else []
    advice = hints([plain(line) for line in lines], files=_paths(run))
    fallback = _ADVICE.get(run.end_reason)
    if fallback and not advice:
        advice = [fallback]
    return Failure(
        title=EndReason(run.end_reason).label,
        message=run.end_message,
        task=task,
        exit_words=exit_words(task) if task else "",
        stream=stream,
        first_line=page.first_line if page else 0,
        text="\n".join(plain(line) for line in lines),
        hints=advice,
    )


def first_failed_task(run: Run) -> Task | None:
    """Of the last attempt, the task that failed first."""
    attempt = run.attempts.order_by("-number").first()
    if attempt is None:
        return None
    return first_failed(attempt.tasks.select_related("node"))


def _stream(run: Run, task: Task | None) -> Stream | None:
    """The log that tells most: the environment's when that failed, the failed task's otherwise, else the last one's."""
    logs = Stream.objects.filter(kind=StreamKind.LOG)
    if run.end_reason in (EndReason.ENVIRONMENT_FAILED, EndReason.PREPARING_TIMEOUT):
        return logs.filter(environment_id=run.environment_id).last() if run.environment_id else None
    if task is not None:
        return logs.filter(task=task, name="output").first()
    return logs.filter(task__attempt__run=run, name="output").last()


def _paths(run: Run) -> list[str]:
    return list(run.snapshot.files.values_list("path", flat=True))
