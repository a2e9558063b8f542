"""Who uses environments, when they were last used, and how much they take."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, TypedDict

from django.db.models import F, Max, QuerySet
from django.db.models.functions import Coalesce, Greatest

from runs.models import Environment, Run
from runs.states import ACTIVE

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations


class LastUse(TypedDict):
    """What ``with_last_use`` adds to a row."""

    used_at: datetime


def with_last_use(environments: QuerySet[Environment]) -> QuerySet[WithAnnotations[Environment, LastUse]]:
    """``environments`` with ``used_at``: when a run last ordered one or ended in it, or when it was built."""
    return environments.annotate(
        used_at=Greatest(
            F("created_at"),
            Coalesce("ready_at", "created_at"),
            Coalesce("last_used_at", "created_at"),
            Coalesce(Max("runs__ended_at"), "created_at"),
        )
    )


def runs_unfinished(environments: Iterable[Environment]) -> QuerySet[Run]:
    """The runs that have not ended and need one of ``environments``, the oldest first."""
    needing = Run.objects.filter(environment__in=[each.pk for each in environments], state__in=ACTIVE)
    return needing.select_related("experiment").order_by("pk")


def environments_bytes() -> int:
    """The size of all environments on the disk; what two targets share counts once."""
    sizes = Environment.objects.exclude(path="").order_by().values("path").annotate(size=Max("size_bytes"))
    return sum(row["size"] or 0 for row in sizes)
