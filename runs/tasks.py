"""What the workers run. Each is a hint's end: idempotent, and harmless when it comes twice or too late."""

from runs.dispatch import enqueue_advance
from runs.environments import environment_build
from runs.models import Run
from runs.pipeline import advance
from runs.states import RunState


def advance_run(run_id: int) -> None:
    """Moves a run as far as it will go now."""
    advance(run_id)


def build_environment(environment_id: int) -> None:
    """Builds an environment and wakes the runs that wait for it."""
    environment_build(environment_id)
    waiting = Run.objects.filter(environment_id=environment_id, state=RunState.PREPARING)
    for run_id in waiting.values_list("pk", flat=True):
        enqueue_advance(run_id)
