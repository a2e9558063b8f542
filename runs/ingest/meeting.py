"""The rendezvous: the tasks of an attempt tell where they can be reached, and each is told where all are.

The cluster is complete, and fixed, when every task that takes part has met. Until then a task may come again from
elsewhere, as after a restart of its node; from then on its script may run, and whatever is still said changes nothing.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from runs.ingest.errors import FrameRefused
from runs.ingest.facts import TaskFacts
from runs.ingest.frame import Meet
from runs.ingest.turn import own_turn
from runs.models import Attempt, Task

#: Every member in launch order: ``{"member": "worker-0", "address": "10.0.0.5", "port": 20011}``; a port may be None.
Cluster = list[dict[str, Any]]


def cluster_of(attempt_id: int) -> Cluster | None:
    """The cluster of an attempt; None until it is complete."""
    members = Task.objects.filter(attempt_id=attempt_id, meets=True)
    if members.filter(meeting__isnull=True).exists():
        return None
    return [{"member": one.member, **(one.meeting or {})} for one in members.order_by("pk")]


def meeting_take(facts: TaskFacts, meet: Meet) -> tuple[Cluster | None, bool]:
    """Notes where a task can be reached; the cluster, and whether that was news. Idempotent.

    Raises FrameRefused for a task that meets nobody and for an address that is not its node's.
    """
    if not facts.meets:
        raise FrameRefused(f"{facts.task_name} has nobody to meet: its distribution has one task.")
    if facts.node_address is not None and meet.address != facts.node_address:
        raise FrameRefused(f"{facts.task_name} meets at {meet.address!r}; its node is at {facts.node_address!r}.")
    cluster = cluster_of(facts.attempt_id)
    said = {"address": meet.address, "port": meet.port}
    if cluster is not None or Task.objects.filter(pk=facts.task_id, meeting=said).exists():
        return cluster, False
    with own_turn(), transaction.atomic():
        # One at a time: nobody may be told of a cluster that then changes.
        Attempt.objects.select_for_update().get(pk=facts.attempt_id)
        if cluster_of(facts.attempt_id) is None:
            Task.objects.filter(pk=facts.task_id).update(meeting=said)
        return cluster_of(facts.attempt_id), True
