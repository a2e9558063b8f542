"""From STOPPING to the final state: stop what remains, bring everything home, free the slots, tidy up."""

import logging
import stat
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from compute.backends.base import ComputeBackend
from compute.errors import ComputeError, TargetUnreachable
from compute.leases import leases_free
from compute.plan import Handle, Liveness
from compute.registry import backend_of
from runs.ingest.drain import task_drain
from runs.ingest.effects import exit_note
from runs.lifecycle import event_add, run_transition
from runs.live.doorbell import ring
from runs.models import Artifact, Attempt, Run, Task
from runs.pipeline.place import wake_waiting
from runs.states import FINAL_STATE, TASK_ENDED, ArtifactPlace, EndReason, RunState, TaskState

logger = logging.getLogger(__name__)

#: Within one call: how long to wait for processes to end and for their last words, before coming back later.
PATIENCE_S = 2.0
BEAT_S = 0.05
LOOK_AGAIN_S = 1.0

#: After the grace, so long until everything that is left is killed from outside.
KILL_AFTER_S = 10.0

LIVING = (Liveness.ALIVE, Liveness.UNWATCHED)


def step_stopping(run: Run) -> float | None:
    """Ends the run, however it came here. Each part is idempotent, so a death in the middle repeats at most a part."""
    attempt = run.attempts.order_by("number").last()
    if attempt is not None and attempt.ended_at is None:
        overdue = run.deadline_at is not None and timezone.now() >= run.deadline_at
        backend = backend_of(run.target)
        is_whole = True
        for part in (_stopped, _drained, partial(_outputs_kept, overdue=overdue)):
            is_whole = _done(part, run, attempt, backend, overdue=overdue) and is_whole
            if not is_whole and not overdue:
                return LOOK_AGAIN_S
        if not is_whole or not _done(_tidied, run, attempt, backend, overdue=overdue):
            _lose_the_rest(attempt)
            _give_up(run)  # and leave the tasks' folders as they are: they may hold what could not be fetched
        Attempt.objects.filter(pk=attempt.pk).update(ended_at=timezone.now())
    if attempt is not None:
        leases_free(attempt.lease_holder)
    run_transition(run, to=FINAL_STATE[run.end_reason], message=_last_word(run))
    wake_waiting(run.target_id)
    return None


def _done(
    part: Callable[[Run, Attempt, ComputeBackend], bool],
    run: Run,
    attempt: Attempt,
    backend: ComputeBackend,
    *,
    overdue: bool,
) -> bool:
    """What ``part`` returns. Once the run is overdue, a fault in it, or a target that is away, is no longer a reason to
    come back."""
    try:
        return part(run, attempt, backend)
    except Exception:
        if not overdue:
            raise
        logger.exception("An overdue run is ended without one of its parts", extra={"run": run.pk})
        return False


def _stopped(run: Run, attempt: Attempt, backend: ComputeBackend) -> bool:
    """Whether no process of the attempt is left; asks, waits a moment, and kills when the grace is over."""
    tasks = list(attempt.tasks.all())
    handles = [task.backend_handle for task in tasks]
    grace_s = float(settings.ENV.stop_grace_s)
    ended = all(task.state in TASK_ENDED for task in tasks)
    if not ended:
        for task, handle in zip(tasks, handles, strict=True):
            if task.handle is None:
                backend.kill(handle)  # its launch was refused or cut short, and may have started something
            else:
                _ask(backend, handle, grace_s)
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        statuses = backend.observe(handles)
        living = [handle for handle in handles if statuses[handle.key].liveness in LIVING]
        for task in tasks:
            record = statuses[task.key].exit
            if record is not None:
                exit_note(task.pk, record)
        if not living:
            break
        if time.monotonic() > give_up_at:
            # Of an ended task only the harness is left; what it could not send is read from the spool.
            patience_s = KILL_AFTER_S if ended else grace_s + KILL_AFTER_S
            if timezone.now() - run.state_since > timedelta(seconds=patience_s):
                for handle in living:
                    backend.kill(handle)
            return False
        time.sleep(BEAT_S)
    _lose_the_rest(attempt)
    return True


def _lose_the_rest(attempt: Attempt) -> None:
    living = Task.objects.filter(attempt=attempt).exclude(state__in=TASK_ENDED)
    living.update(state=TaskState.LOST, ended_at=timezone.now())


def _ask(backend: ComputeBackend, handle: Handle, grace_s: float) -> None:
    """Asks a task to end. One that made itself impossible to ask is left to the kill after the grace."""
    try:
        backend.stop(handle, grace_s=grace_s)
    except TargetUnreachable:
        raise
    except (ComputeError, OSError) as error:
        logger.warning("%s cannot be asked to stop: %s", handle.key, error)


def _drained(run: Run, attempt: Attempt, backend: ComputeBackend) -> bool:
    """Whether every stream of the attempt is here to its end; fetches from the spools what the tasks have not sent."""
    drained = [task_drain(task, backend) for task in attempt.tasks.filter(is_drained=False)]
    return all(drained)


def _outputs_kept(run: Run, attempt: Attempt, backend: ComputeBackend, *, overdue: bool) -> bool:
    """Moves what the tasks put out into the server's store, which is the server's alone; True when all is there.

    A file that resists is tried again with the whole step; once the run is overdue it stays in the task's folder, so
    that nothing a script leaves behind can hold its slot for ever.
    """
    store = settings.DATA_DIR / "artifacts"
    store.mkdir(mode=0o700, exist_ok=True)
    is_whole = True
    for task in attempt.tasks.all():
        handle = task.backend_handle
        backend.kill(handle)  # what a killed guard left behind could still change a file while it is moved
        for output in backend.outputs(handle):
            key = f"{run.pk}/{task.pk}/{output.path}"
            # Written down before the file is moved, so that a death in between loses sight of none.
            facts = {"run": run, "modified_at": output.modified_at, "storage_key": key}
            _note_output(task, output.path, {**facts, "place": ArtifactPlace.TASK, "size_bytes": output.size_bytes})
            try:
                size_bytes = backend.keep_output(handle, output.path, store / key)
            except FileNotFoundError:
                continue  # gone, or no plain file of the task's: it was never the run's to keep
            except Exception as error:
                if not overdue:
                    raise
                logger.exception("An output was left behind", extra={"run": run.pk, "task": task.pk})
                message = f"{output.path!r} could not be brought home ({error}); it stays in the folder of {task}."
                event_add(run, kind="output_left", message=message)
                is_whole = False
                continue
            _note_output(task, output.path, {**facts, "place": ArtifactPlace.STORE, "size_bytes": size_bytes})
        left = Artifact.objects.filter(task=task, place=ArtifactPlace.TASK)
        moved = [one.pk for one in left.exclude(storage_key="") if _is_kept(store / one.storage_key, one.size_bytes)]
        left.filter(pk__in=moved).update(place=ArtifactPlace.STORE)
        left.delete()
    ring(run.pk)
    return is_whole


def _note_output(task: Task, path: str, facts: dict[str, Any]) -> None:
    Artifact.objects.update_or_create(task=task, path=path, defaults=facts)


def _is_kept(path: Path, size_bytes: int) -> bool:
    """Whether an earlier call moved the file and died before it said so."""
    try:
        facts = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(facts.st_mode) and facts.st_size == size_bytes


def _give_up(run: Run) -> None:
    """The run could not be stopped in time: that becomes its reason, and the first one is kept in the words."""
    if run.end_reason == EndReason.STOPPING_TIMEOUT:
        return
    message = (
        f"The run could not be stopped within {settings.ENV.stopping_deadline_s} s; something of it may still be "
        f"running on {run.target}. Before that: {run.end_message}"
    )
    Run.objects.filter(pk=run.pk).update(end_reason=EndReason.STOPPING_TIMEOUT, end_message=message)
    run.end_reason, run.end_message = EndReason.STOPPING_TIMEOUT, message
    event_add(run, kind="stopping_timeout", message=message)


def _tidied(run: Run, attempt: Attempt, backend: ComputeBackend) -> bool:
    for task in attempt.tasks.all():
        backend.cleanup(task.backend_handle)
    return True


def _last_word(run: Run) -> str:
    """Why it ended was said when it began to."""
    return f"The run is {RunState(FINAL_STATE[run.end_reason]).label.lower()}."
