"""What administrators do to environments."""

from __future__ import annotations

from django.utils import timezone

from runs.dispatch import enqueue_build
from runs.environments import environment_is_intact
from runs.errors import NotNow
from runs.models import Environment
from runs.states import EnvironmentState


def environment_rebuild(environment: Environment) -> None:
    """Orders the build of an environment that is not there: failed, damaged, evicted, or ordered and forgotten.

    Raises NotNow for one that is whole, and for one that is being built.
    """
    if environment.state == EnvironmentState.BUILDING:
        raise NotNow("The environment is being built already.")
    if environment.state == EnvironmentState.READY and environment_is_intact(environment):
        raise NotNow("The environment is whole: there is nothing to build.")
    Environment.objects.filter(pk=environment.pk, state=environment.state).update(
        state=EnvironmentState.REQUESTED, state_since=timezone.now(), error="", progress={}
    )
    enqueue_build(environment.pk)
