"""When a run's tasks have brought it to its end, and why: read from their states alone."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from datetime import datetime, timedelta

from runs.distribution import Role
from runs.distribution.horovod import LAUNCHER, RANK
from runs.models import Task
from runs.states import TASK_ENDED, EndReason, TaskState

Ending = tuple[EndReason, str]

#: mpirun ends all its ranks when one fails, and itself then: their ends reach the platform in any order, within this.
LAUNCH_SETTLE_S = 3.0


def end_of(tasks: list[Task], roles: Iterable[Role], *, now: datetime, rest_grace_s: float) -> Ending | None:
    """Why a run with these tasks ends now; None while it goes on.

    A failed task ends it, and the one that failed first is named. It has succeeded when every task that counts has
    ended well, or a leading one has and the others have had ``rest_grace_s`` since. A daemon is ended by the platform:
    one that ends before is a failure, however it ended.
    """
    leaders = {role.key for role in roles if role.leads}
    counting = [task for task in tasks if task.ends_run]
    if not any(_has_failed(task) for task in counting):
        left = [task for task in counting if task.state not in TASK_ENDED]
        if not left:
            return EndReason.SUCCEEDED, "The script ended well."
        ended = [task.ended_at for task in counting if task.member in leaders and task.ended_at]
        if ended and now - min(ended) >= timedelta(seconds=rest_grace_s):
            return EndReason.SUCCEEDED, f"The script ended well. {_left_behind(left, rest_grace_s)}"
    failed = first_failed(tasks)
    if failed is None or _may_follow_another(failed, tasks, now):
        return None
    # Others may have failed before it, by talking to whoever has its port.
    return _failure(next((task for task in tasks if task.port_taken), failed))


def first_failed(tasks: Iterable[Task]) -> Task | None:
    """The task that failed first: by the time of its end, then in launch order. A rank that mpirun has asked to end
    comes after all others, since it ended for the sake of one of them."""
    failed = (task for task in tasks if _has_failed(task) or (task.state in TASK_ENDED and not task.ends_run))
    return min(failed, key=_first_to_fail, default=None)


def ended_by_mpirun(task: Task) -> bool:
    """Whether ``task`` ended as a rank does that mpirun asks to end."""
    return task.role == RANK and task.exit_signal == signal.SIGTERM


def _first_to_fail(task: Task) -> tuple[bool, bool, datetime | None, int]:
    return ended_by_mpirun(task), task.ended_at is None, task.ended_at, task.pk


def _may_follow_another(failed: Task, tasks: list[Task], now: datetime) -> bool:
    """Whether ``failed`` may have ended for the sake of a task whose own end is not known yet."""
    if not (failed.role == LAUNCHER or ended_by_mpirun(failed)) or failed.ended_at is None:
        return False
    is_recent = now - failed.ended_at < timedelta(seconds=LAUNCH_SETTLE_S)
    return is_recent and any(task.state not in TASK_ENDED for task in tasks)


def _has_failed(task: Task) -> bool:
    if task.state == TaskState.LOST:
        return True
    return task.state == TaskState.EXITED and (task.exit_code != 0 or task.exit_signal is not None)


def _left_behind(left: list[Task], rest_grace_s: float) -> str:
    names = ", ".join(str(task) for task in left)
    was = "was" if len(left) == 1 else "were"
    return f"{names} {was} still running {rest_grace_s:g} s later and {was} ended."


def _failure(task: Task) -> Ending:
    who = "The script" if (task.role, task.index) == ("chief", 0) else f"{task.role} {task.index}"
    if task.state == TaskState.LOST:
        return EndReason.TASK_LOST, f"{who} disappeared on {task.node_name} without leaving an exit code."
    if task.port_taken:
        port = (task.meeting or {}).get("port")
        return EndReason.PORT_TAKEN, f"{who} could not listen: another program on {task.node_name} has port {port}."
    if task.out_of_memory:
        return EndReason.OUT_OF_MEMORY, f"{who} was killed because {task.node_name} ran out of memory."
    if task.exit_signal is not None:
        return EndReason.KILLED, f"{who} was killed by signal {task.exit_signal} ({_signal_name(task.exit_signal)})."
    if task.saw_no_gpu:
        return EndReason.GPU_NOT_SEEN, (
            f"TensorFlow sees no GPU on {task.node_name}, so the script was not started rather than train on the CPU. "
            "The log has what was looked at."
        )
    early = "" if task.ends_run else ", before the training had ended"
    return EndReason.SCRIPT_FAILED, f"{who} ended with exit code {task.exit_code}{early}."


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "no name"
