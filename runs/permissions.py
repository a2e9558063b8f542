"""Who may do what: with a run its owner and the administrators, with environments the administrators, with a named
environment its owner and the administrators."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import rules
from django.conf import settings
from django.db.models import Q, QuerySet

from compute.models import ComputeTarget, TargetKind
from runs.models import Environment, NamedEnvironment, Run

if TYPE_CHECKING:
    from accounts.models import User


@rules.predicate
def owns_run(user: User, run: Run | None) -> bool:
    return run is not None and run.owner_id == user.pk


@rules.predicate
def is_administrator(user: User) -> bool:
    return bool(user.is_active and user.is_staff)


@rules.predicate
def owns_named_environment(user: User, named: NamedEnvironment | None) -> bool:
    return named is not None and named.owner_id == user.pk


rules.add_perm("runs.view_run", owns_run | is_administrator)
rules.add_perm("runs.change_run", owns_run | is_administrator)
rules.add_perm("runs.change_environment", is_administrator)
rules.add_perm("runs.change_named_environment", owns_named_environment | is_administrator)


def runs_visible_to(user: User) -> QuerySet[Run]:
    """The runs that ``user`` may see."""
    runs = Run.objects.all()
    return runs if is_administrator(user) else runs.filter(owner=user)


def environments_visible_to(user: User) -> QuerySet[Environment]:
    """The environments that ``user`` may see: those of the user's runs and those built of named environments that the
    user may see, with all their revisions; administrators all."""
    environments = Environment.objects.all()
    if is_administrator(user):
        return environments
    of_runs = Run.objects.filter(owner=user).values("environment__wishes")
    of_names = Environment.objects.filter(named_versions__named__in=named_environments_visible_to(user))
    return environments.filter(Q(wishes__in=of_runs) | Q(wishes__in=of_names.values("wishes")))


def named_environments_visible_to(user: User) -> QuerySet[NamedEnvironment]:
    """The named environments that ``user`` may see and use: shared ones and the user's own; administrators all."""
    named = NamedEnvironment.objects.select_related("owner")
    return named if is_administrator(user) else named.filter(Q(is_shared=True) | Q(owner=user))


def may_use_target(user: User, target: ComputeTarget) -> bool:
    """Whether ``user`` may submit to ``target``.

    The local target runs code on the server's own machine. Only a server started as root can give that code a user
    id of its own; otherwise the code could read the database, so it is left to administrators unless a setting says
    otherwise.
    """
    if is_administrator(user) or target.kind != TargetKind.LOCAL:
        return True
    return os.geteuid() == 0 or settings.ENV.members_may_use_local


def targets_for(user: User) -> list[ComputeTarget]:
    """The targets that ``user`` may submit to, by name."""
    return [target for target in ComputeTarget.objects.all() if may_use_target(user, target)]
