"""From waiting to slots: first come, first served for each kind of slot of a target; all tasks or none."""

from django.conf import settings
from django.db import transaction

from compute.errors import LeaseLost
from compute.leases import inventory_of, leases_take
from compute.placement import place
from compute.plan import Assignment, NoCapacity, Placement
from runs.dispatch import enqueue_advance
from runs.distribution import distribution_of
from runs.distribution.base import Distribution
from runs.lifecycle import run_transition
from runs.live.doorbell import ring
from runs.models import Attempt, Run, Task
from runs.states import RunState, TaskState

LOOK_AGAIN_S = 5.0
SOON_S = 0.2


def step_waiting(run: Run) -> float | None:
    """Takes the slots and makes the attempt with its tasks, or says why the run waits."""
    distribution = distribution_of(run.spec)
    if distribution is None:
        raise ValueError(f"No distribution is called {run.spec.distribution}.")
    ahead = runs_ahead(run)
    if ahead:
        _note_waiting(run, [f"{_count(len(ahead), 'run')} ahead in the queue, next {ahead[0]}."])
        return LOOK_AGAIN_S
    placement = place(distribution.request(run.spec), inventory_of(run.target))
    if isinstance(placement, NoCapacity):
        _note_waiting(run, list(placement.reasons))
        return LOOK_AGAIN_S
    try:
        _take(run, distribution, placement)
    except LeaseLost:
        return SOON_S
    return None


def runs_ahead(run: Run) -> list[Run]:
    """The older runs that wait for the same kind of slot of the same target, the oldest first."""
    older = Run.objects.filter(target=run.target, state=RunState.WAITING, pk__lt=run.pk, cancel_requested_at=None)
    return [
        other for other in older.select_related("experiment").order_by("pk") if other.spec.use_gpu == run.spec.use_gpu
    ]


def wake_waiting(target_id: int) -> None:
    """Tells the runs that wait for a target to look again, after slots came free."""
    waiting = Run.objects.filter(target_id=target_id, state=RunState.WAITING).order_by("pk")
    for run_id in waiting.values_list("pk", flat=True)[:10]:
        enqueue_advance(run_id)


def _take(run: Run, distribution: Distribution, placement: Placement) -> None:
    places = {assignment.task: assignment for assignment in placement.assignments}
    with transaction.atomic():
        attempt = Attempt.objects.create(run=run, number=run.attempts.count() + 1)
        leases_take(placement, holder=attempt.lease_holder, label=str(run))
        for role in distribution.roles(run.spec):
            place_of = places[role.key]
            Task.objects.create(
                attempt=attempt,
                role=role.name,
                index=role.index,
                ends_run=role.ends_run,
                meets=role.listens,
                node_id=place_of.node_id,
                node_name=place_of.node,
                slots=_slots(place_of),
                state=TaskState.PENDING,
            )
        run_transition(
            run,
            to=RunState.STARTING,
            message=f"Slots taken on {', '.join(sorted({a.node for a in placement.assignments}))}.",
            deadline_s=settings.ENV.starting_deadline_s,
            waiting_for=[],
        )


def _slots(assignment: Assignment) -> list[dict[str, int | bool]]:
    """What a task holds: the slots' ids, with the GPU behind each or the word that there is none."""
    if assignment.simulated:
        return [{"id": slot_id, "simulated": True} for slot_id in assignment.slot_ids]
    if not assignment.gpu_indexes:
        return [{"id": slot_id} for slot_id in assignment.slot_ids]
    pairs = zip(assignment.slot_ids, assignment.gpu_indexes, strict=True)
    return [{"id": slot_id, "gpu": gpu} for slot_id, gpu in pairs]


def _note_waiting(run: Run, reasons: list[str]) -> None:
    if run.waiting_for == reasons:
        return
    Run.objects.filter(pk=run.pk, state=RunState.WAITING).update(waiting_for=reasons)
    ring(run.pk)


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
