"""The tasks of a run as a table shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import OuterRef, QuerySet

from compute.models import Slot
from runs.models import Run, Task
from runs.selectors.exits import exit_words


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """One task, its slots and its end in words."""

    task: Task
    slots: str
    end: str


def tasks_of(run: Run) -> list[TaskRow]:
    """The tasks of the run's last attempt, in launch order."""
    attempt = run.attempts.order_by("-number").first()
    if attempt is None:
        return []
    tasks = list(attempt.tasks.select_related("node").order_by("pk"))
    ids = [slot["id"] for task in tasks for slot in task.slots if "id" in slot]
    slots = Slot.objects.in_bulk(ids)
    return [TaskRow(task=task, slots=_slot_words(task, slots), end=exit_words(task)) for task in tasks]


def on_simulated_gpus(run: Run | OuterRef) -> QuerySet[Task]:
    """The tasks of ``run`` that hold GPU slots without a GPU behind them, and so train on the CPU."""
    return Task.objects.filter(attempt__run=run, slots__0__simulated=True).order_by()


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
