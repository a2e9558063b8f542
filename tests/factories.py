"""Rows for tests, each with the least that it needs; keyword arguments override."""

import itertools
import uuid
from typing import Any

from django.utils import timezone

from accounts.models import User
from compute.models import ComputeTarget, Node, Slot
from runs.models import (
    Attempt,
    Environment,
    Experiment,
    NamedEnvironment,
    NamedEnvironmentVersion,
    Run,
    Snapshot,
    Stream,
    Task,
)
from runs.spec import RunSpec
from runs.states import ACTIVE, EnvironmentState, RunState, TaskState

_numbers = itertools.count(1)


def make_user(**fields: Any) -> User:
    name = fields.pop("username", f"user{next(_numbers)}")
    return User.objects.create_user(username=name, password="a quite long password", **fields)


def make_target(
    *, cpu_slots: int = 1, gpus: int = 0, nodes: int = 1, simulated: bool = False, **fields: Any
) -> ComputeTarget:
    """A target with so many slots on each node; its GPUs may be simulated."""
    target = ComputeTarget.objects.create(**{"name": f"target{next(_numbers)}", **fields})
    for number in range(nodes):
        name = "node" if nodes == 1 else f"node-{number + 1}"
        node = Node.objects.create(target=target, name=name, cpu_cores=max(cpu_slots, 1))
        for index in range(cpu_slots):
            Slot.objects.create(node=node, kind=Slot.Kind.CPU, index=index)
        for index in range(gpus):
            uuid_ = "" if simulated else f"GPU-{next(_numbers)}"
            Slot.objects.create(node=node, kind=Slot.Kind.GPU, index=index, uuid=uuid_, is_simulated=simulated)
    return target


def make_environment(target: ComputeTarget, **fields: Any) -> Environment:
    defaults = {"digest": uuid.uuid4().hex, "spec": {}, "state": EnvironmentState.READY}
    return Environment.objects.create(target=target, **{**defaults, **fields})


def make_named_environment(owner: User, **fields: Any) -> NamedEnvironment:
    """A private named environment with one version, of the packages ``pip_packages`` (default: six)."""
    content = {"pip_packages": fields.pop("pip_packages", ["six"])}
    named = NamedEnvironment.objects.create(owner=owner, **{"name": f"named{next(_numbers)}", **fields})
    NamedEnvironmentVersion.objects.create(named=named, number=1, content=content, created_by=owner)
    return named


def make_snapshot(**fields: Any) -> Snapshot:
    return Snapshot.objects.create(**{"digest": uuid.uuid4().hex, "file_count": 0, "size_bytes": 0, **fields})


def make_run(*, spec: RunSpec | None = None, **fields: Any) -> Run:
    """A run in ``state`` (default: submitted), with rows around it where none are given."""
    owner = fields.pop("owner", None) or make_user()
    experiment = fields.pop("experiment", None) or Experiment.objects.create(owner=owner, name=f"exp{next(_numbers)}")
    target = fields.pop("target", None) or make_target()
    spec = spec or RunSpec(compute_target=target.name)
    number = experiment.run_counter = experiment.run_counter + 1
    experiment.save(update_fields=["run_counter"])
    now = timezone.now()
    state = fields.get("state", RunState.SUBMITTED)
    defaults = {
        "number": number,
        "snapshot": fields.pop("snapshot", None) or make_snapshot(),
        "spec_json": spec.to_json(),
        "submission_key": uuid.uuid4().hex,
        "state": state,
        "state_since": now,
        "due_at": now if state in ACTIVE else None,
    }
    return Run.objects.create(owner=owner, experiment=experiment, target=target, **{**defaults, **fields})


def make_task(run: Run, **fields: Any) -> Task:
    """A task of the run's latest attempt, which is made when there is none."""
    attempt = run.attempts.order_by("number").last() or Attempt.objects.create(run=run)
    defaults = {"role": "chief", "index": 0, "state": TaskState.RUNNING, "node_name": "node"}
    return Task.objects.create(attempt=attempt, **{**defaults, **fields})


def make_stream(task: Task, name: str = "output", **fields: Any) -> Stream:
    return Stream.objects.create(task=task, name=name, **fields)
