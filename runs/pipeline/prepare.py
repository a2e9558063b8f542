"""From a submission to an environment that is ready: no slots are held meanwhile."""

import dataclasses

from django.conf import settings
from django.db import IntegrityError, transaction

from compute.models import ComputeTarget
from compute.registry import backend_of, target_gpus_are_simulated
from runs.dispatch import enqueue_build
from runs.environments import (
    environment_is_being_built,
    environment_is_intact,
    environment_of_unchanged,
    environment_request,
    environment_request_locked,
    environment_spec,
    environment_update,
    python_differs,
    version_remarks,
)
from runs.environments.definitions import effective
from runs.errors import EnvironmentFailed
from runs.lifecycle import event_add, run_transition
from runs.models import Environment, Run
from runs.snapshots import snapshot_reader, snapshot_trees
from runs.spec import RunSpec
from runs.states import Again, EndReason, EnvironmentState, RunState

LOOK_AGAIN_S = 5.0
SOON_S = 0.2


def step_submitted(run: Run) -> float | None:
    """Finds or orders the environment."""
    try:
        environment = _environment_of(run)
    except EnvironmentFailed as error:
        _environment_failed(run, str(error))
        return None
    ready = environment.state == EnvironmentState.READY
    sentences = ["The environment is ready." if ready else "The environment is being prepared."]
    if run.again == Again.EXACTLY and (other := python_differs(environment.spec, run.environment_spec or {})):
        sentences.append(other)
    sentences += [] if run.effective_spec.framework_version else version_remarks(environment.spec)
    try:
        run_transition(
            run,
            to=RunState.PREPARING,
            message=" ".join(sentences),
            deadline_s=settings.ENV.preparing_deadline_s,
            environment=environment,
            environment_spec=run.environment_spec or environment.spec,
        )
    except IntegrityError:
        return SOON_S  # it was deleted just now; the next look orders it anew
    return None


def step_preparing(run: Run) -> float | None:
    """Waits for the environment, and orders its build as long as nobody is at it."""
    environment = run.environment
    if environment is None:
        _environment_failed(run, "The environment was deleted while the run waited for it. Submit the run again.")
        return None
    if environment.state == EnvironmentState.UNCHANGED:
        return _take_unchanged(run, environment)
    if environment.state == EnvironmentState.FAILED:
        _environment_failed(run, environment.error)
        return None
    if environment.state == EnvironmentState.READY and environment_is_intact(environment):
        run_transition(run, to=RunState.WAITING, message="The run waits for its slots.", lock=environment.lock)
        return None
    if not environment_is_being_built(environment):
        enqueue_build(environment.pk)
    return LOOK_AGAIN_S


def spec_for_environment(spec: RunSpec, target: ComputeTarget) -> RunSpec:
    """``spec`` as its environment on ``target`` is made for; on simulated GPUs without ``use_gpu``, since it is
    TensorFlow's CPU build that trains there."""
    if spec.use_gpu and target_gpus_are_simulated(target):
        return dataclasses.replace(spec, use_gpu=False)
    return spec


def _take_unchanged(run: Run, update: Environment) -> float | None:
    """The run takes what was there before the update, which is the same."""
    environment = environment_of_unchanged(update)
    try:
        with transaction.atomic():
            Run.objects.filter(pk=run.pk).update(environment=environment, environment_spec=environment.spec)
            event_add(run, kind="environment", message="The update came to the same versions, so nothing is built.")
    except IntegrityError:
        return SOON_S  # it was deleted just now
    return None


def _environment_of(run: Run) -> Environment:
    backend = backend_of(run.target)
    if run.again == Again.EXACTLY and run.environment_spec is not None:
        return environment_request_locked(run.environment_spec, run.lock, run.target, backend)
    spec, read = effective(run.spec, run.definition, snapshot_reader(run.snapshot))
    trees = snapshot_trees(run.snapshot)
    spec = spec_for_environment(spec, run.target)
    if run.again == Again.UPDATED:
        return environment_update(environment_spec(spec, backend, read, trees), run.target)
    return environment_request(spec, run.target, backend, read, trees)


def _environment_failed(run: Run, message: str) -> None:
    run_transition(
        run,
        to=RunState.STOPPING,
        reason=EndReason.ENVIRONMENT_FAILED,
        message=message,
        deadline_s=settings.ENV.stopping_deadline_s,
    )
