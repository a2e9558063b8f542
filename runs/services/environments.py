"""What people do to environments: build them again, update them."""

from __future__ import annotations

from django.utils import timezone

from runs.dispatch import enqueue_build
from runs.environments import environment_is_being_built, environment_is_intact, environment_update
from runs.errors import NotNow
from runs.models import Environment
from runs.states import EnvironmentState


def environment_rebuild(environment: Environment) -> None:
    """Orders the build of an environment that is not there: failed, damaged, evicted, or ordered and forgotten.

    Raises NotNow for one that is whole, and for one that is being built.
    """
    if environment.state == EnvironmentState.BUILDING and environment_is_being_built(environment):
        raise NotNow("The environment is being built already.")
    if environment.state == EnvironmentState.READY and environment_is_intact(environment):
        raise NotNow("The environment is whole: there is nothing to build.")
    now = timezone.now()
    Environment.objects.filter(pk=environment.pk, state=environment.state).update(
        state=EnvironmentState.REQUESTED, state_since=now, last_used_at=now, error="", progress={}
    )
    enqueue_build(environment.pk)


def environment_update_order(environment: Environment) -> Environment:
    """The next revision of ``environment``: the same wishes, resolved anew. One that is on its way is joined."""
    updated = environment_update(environment.spec, environment.target)
    if updated.state == EnvironmentState.REQUESTED:
        enqueue_build(updated.pk)
    return updated
