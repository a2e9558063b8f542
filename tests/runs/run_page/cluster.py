"""A run of several tasks, and how they end."""

import time
from datetime import timedelta

from django.utils import timezone

from accounts.models import User
from compute.models import Node, Slot
from runs.models import Run, RunEvent, Task
from runs.states import EndReason, RunState, TaskState
from runs.stores.logs import log_write
from runs.stores.points import points_append
from tests.factories import make_run, make_stream, make_target, make_task


def make_cluster(owner: User, **fields) -> Run:
    """Two workers, each on a simulated GPU of its own node, and a server that holds no slot."""
    target = make_target(gpus=1, nodes=2, simulated=True)
    started = timezone.now() - timedelta(seconds=90)
    run = make_run(owner=owner, target=target, **{"state": RunState.RUNNING, "started_at": started, **fields})
    nodes = list(Node.objects.filter(target=target).order_by("name"))
    for index, (role, number, node) in enumerate([("worker", 0, 0), ("worker", 1, 1), ("ps", 0, 0)]):
        gpu = Slot.objects.get(node=nodes[node], kind="gpu")
        task = make_task(
            run,
            role=role,
            index=number,
            node=nodes[node],
            node_name=nodes[node].name,
            slots=[{"id": gpu.pk, "simulated": True}] if role == "worker" else [],
            ends_run=role == "worker",
            heartbeat_at=timezone.now(),
            meets=True,
            meeting={"address": "127.0.0.1", "port": 20011 + index},
        )
        log_write(make_stream(task).pk, f"this is {task}\n".encode())
        make_stream(task, "harness")
        at = time.time() - 60
        points_append(
            run_id=run.pk, task_id=task.pk, points={("metric", "loss"): [(n, at + n, 1 / (n + index)) for n in (1, 2)]}
        )
    return run


def end(run: Run, task: str, *, after_s: float, **fields) -> None:
    """The task ends so long after the run's start."""
    role, index = task.split("-")
    Task.objects.filter(attempt__run=run, role=role, index=index).update(
        **{"state": TaskState.EXITED, "ended_at": run.started_at + timedelta(seconds=after_s), **fields}
    )


def stop(run: Run, *, after_s: float, reason: EndReason) -> None:
    """The run is stopped so long after its start, and is over now."""
    event = RunEvent.objects.create(run=run, kind=RunState.STOPPING, message="It is being ended.")
    RunEvent.objects.filter(pk=event.pk).update(at=run.started_at + timedelta(seconds=after_s))
    Run.objects.filter(pk=run.pk).update(state=RunState.FAILED, end_reason=reason, ended_at=timezone.now())
