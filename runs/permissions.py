"""Who may do what: with a run its owner and the administrators, with environments the administrators."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import rules
from django.conf import settings
from django.db.models import QuerySet

from compute.models import ComputeTarget, TargetKind
from runs.models import Environment, Run

if TYPE_CHECKING:
    from accounts.models import User


@rules.predicate
def owns_run(user: User, run: Run | None) -> bool:
    return run is not None and run.owner_id == user.pk


@rules.predicate
def is_administrator(user: User) -> bool:
    return bool(user.is_active and user.is_staff)


rules.add_perm("runs.view_run", owns_run | is_administrator)
rules.add_perm("runs.change_run", owns_run | is_administrator)
rules.add_perm("runs.change_environment", is_administrator)


def runs_visible_to(user: User) -> QuerySet[Run]:
    """The runs that ``user`` may see."""
    runs = Run.objects.all()
    return runs if is_administrator(user) else runs.filter(owner=user)


def environments_visible_to(user: User) -> QuerySet[Environment]:
    """The environments that ``user`` may see: those of the runs that ``user`` may see, with all their revisions, and
    administrators all."""
    environments = Environment.objects.all()
    if is_administrator(user):
        return environments
    return environments.filter(wishes__in=Run.objects.filter(owner=user).values("environment__wishes"))


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
