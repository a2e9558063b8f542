"""The tasks of a run as a table shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import OuterRef, QuerySet

from compute.models import Slot
from runs.distribution.horovod import LAUNCHER
from runs.models import Run, Stream, Task
from runs.pipeline.ending import ended_by_mpirun, first_failed
from runs.selectors.exits import exit_words
from runs.states import TASK_ENDED, RunState, TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """One task, its slots and its end in words. ``state`` and ``label`` are how it stands, ``address`` is where the
    others reach it, ``log`` the id of its output; None before its first line. ``is_first``: of several that failed by
    themselves, the first."""

    task: Task
    slots: str
    end: str
    state: str
    label: str
    address: str
    log: int | None
    is_first: bool


def tasks_of(run: Run) -> list[TaskRow]:
    """The tasks of the run's last attempt, in launch order."""
    attempt = run.attempts.order_by("-number").first()
    if attempt is None:
        return []
    tasks = list(attempt.tasks.select_related("node").order_by("pk"))
    ids = [slot["id"] for task in tasks for slot in task.slots if "id" in slot]
    slots = Slot.objects.in_bulk(ids)
    logs = dict(Stream.objects.filter(task__in=tasks, name="output").values_list("task_id", "pk"))
    stopping = run.events.filter(kind=RunState.STOPPING).values_list("at", flat=True).last()
    first = first_failed(task for task in tasks if _is_failure(task, stopping))
    rows = []
    for task in tasks:
        state, label = _standing(task, stopping, first)
        rows.append(
            TaskRow(
                task=task,
                slots=_slot_words(task, slots),
                end=exit_words(task),
                state=state,
                label=label,
                address=address_words(task.meeting),
                log=logs.get(task.pk),
                is_first=task == first,
            )
        )
    return rows


def address_words(meeting: dict[str, Any] | None) -> str:
    """``127.0.0.1:20011``; empty for a task that meets no others, has not met them yet, or that nobody connects to."""
    if meeting is None or meeting["port"] is None:
        return ""
    address = meeting["address"]
    return f"[{address}]:{meeting['port']}" if ":" in address else f"{address}:{meeting['port']}"


def on_simulated_gpus(run: Run | OuterRef) -> QuerySet[Task]:
    """The tasks of ``run`` that hold GPU slots without a GPU behind them, and so train on the CPU."""
    return Task.objects.filter(attempt__run=run, slots__0__simulated=True).order_by()


def _standing(task: Task, stopping: datetime | None, first: Task | None) -> tuple[str, str]:
    """How ``task`` stands: the state that gives it its look, and the word for it."""
    if task.state not in TASK_ENDED or (task.exit_code == 0 and task.ends_run):
        return task.state, task.get_state_display()
    is_first = task == first
    if not _is_failure(task, stopping) or (not is_first and (ended_by_mpirun(task) or task.role == LAUNCHER)):
        return RunState.CANCELLED, "Ended with the run"
    if task.state == TaskState.LOST:
        return task.state, "Lost first" if is_first else "Lost"
    return RunState.FAILED, "Failed first" if is_first else "Failed"


def _is_failure(task: Task, stopping: datetime | None) -> bool:
    """Whether ``task`` ended badly by itself. What ended after the run was being stopped was ended by the platform."""
    if task.state not in TASK_ENDED or (task.exit_code == 0 and task.ends_run):
        return False
    return stopping is None or task.ended_at is None or task.ended_at <= stopping


def _slot_words(task: Task, slots: dict[int, Slot]) -> str:
    """``GPU 0 (NVIDIA A100)``, ``simulated GPU 0``, ``CPU slot 1``: what the task held, by the names that the machine
    gives them."""
    words = []
    for held in task.slots:
        slot = slots.get(held.get("id"))
        if slot is None:
            words.append(_gone_words(held))
        elif held.get("simulated"):
            words.append(f"simulated GPU {slot.index}")
        elif slot.kind == Slot.Kind.GPU:
            words.append(f"GPU {slot.index}" + (f" ({slot.model})" if slot.model else ""))
        else:
            words.append(f"CPU slot {slot.index}")
    return ", ".join(words)


def _gone_words(held: dict[str, Any]) -> str:
    """A slot that is no longer there, by what the task knew of it."""
    if "gpu" in held:
        return f"GPU {held['gpu']}"
    return "a simulated GPU" if held.get("simulated") else "a slot that is no longer there"
