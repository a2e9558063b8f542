"""Environments as their pages show them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict, cast

from django.conf import settings
from django.db.models import Count, Q, QuerySet
from django.http import Http404

from compute.package_index import package_index
from runs.environments import environment_is_there, environments_bytes, with_last_use
from runs.environments.conda.records import conda_asked
from runs.environments.difference import lock_versions
from runs.models import Environment, Run, Stream
from runs.permissions import environments_visible_to, is_administrator, runs_visible_to
from runs.states import EnvironmentState, StreamKind

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.models import AnonymousUser
    from django_stubs_ext import WithAnnotations

    from accounts.models import User

    class Listing(TypedDict):
        """What ``environments_listed`` adds to a row."""

        used_at: datetime
        run_count: int

    ListedEnvironment = WithAnnotations[Environment, Listing]

#: So many of the packages that were asked for stand in a title.
_MOST_NAMED = 4

_MOVING = (EnvironmentState.REQUESTED, EnvironmentState.BUILDING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Title:
    """What an environment is, in words: ``TensorFlow 2.21.0 + scikit-learn``, and what else there is to know."""

    name: str
    extras: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Where an environment stands, with what is really on the disk taken into account."""

    state: str
    label: str
    sentence: str

    @property
    def is_moving(self) -> bool:
        return self.state in _MOVING

    @property
    def can_be_rebuilt(self) -> bool:
        """Whether ordering a build would change anything."""
        return self.state not in (EnvironmentState.READY, EnvironmentState.BUILDING, EnvironmentState.UNCHANGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageOrigin:
    """What uv is told beyond its own rules: pairs of a setting and its value, and the files that say so."""

    said: tuple[tuple[str, str], ...]
    origins: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUse:
    """How much all environments take. ``limit_bytes`` 0: there is no limit."""

    used_bytes: int
    limit_bytes: int

    @property
    def percent(self) -> int:
        return min(100, round(100 * self.used_bytes / self.limit_bytes)) if self.limit_bytes else 0


#: What each state means, as one sentence.
_SENTENCES: dict[str, str] = {
    EnvironmentState.REQUESTED: "It is ordered and waits for a builder.",
    EnvironmentState.BUILDING: "It is being built.",
    EnvironmentState.READY: "It is on the disk, and runs start in it at once.",
    EnvironmentState.FAILED: "Its build failed. The next run that needs it tries again.",
    EnvironmentState.UNCHANGED: "The update came to the same versions, so nothing was built.",
    EnvironmentState.EVICTED: "Its files were removed to make room. The next run that needs it builds it again.",
}
_DAMAGED = Condition(
    state="damaged",
    label="Damaged",
    sentence="Files of it are missing on the disk. The next run that needs it builds it again.",
)


def environments_listed(user: User) -> QuerySet[ListedEnvironment]:
    """The environments that ``user`` may see, each with ``used_at`` and ``run_count``, the number of its runs that
    ``user`` may see."""
    mine = Q() if is_administrator(user) else Q(runs__owner=user)
    return (
        with_last_use(environments_visible_to(user))
        .annotate(run_count=Count("runs", filter=mine, distinct=True))
        .select_related("target")
        .defer("target__config", "progress")
    )


def environment_for(user: User | AnonymousUser, environment_id: int) -> Environment:
    """The environment with its target and last use. Raises Http404 when ``user`` may not see it, in the same words as
    when there is none."""
    visible = environments_visible_to(cast("User", user))  # every address is behind the sign-in
    found = with_last_use(visible).select_related("target").filter(pk=environment_id).first()
    if found is None:
        raise Http404(f"There is no environment {environment_id} that you may see.")
    return found


def environment_title(environment: Environment) -> Title:
    """What ``environment`` is: the framework in the version that was installed, and the packages asked for."""
    framework = environment.spec.get("framework") or {}
    asked = [*(environment.spec.get("packages") or []), *conda_asked(environment.spec)]
    name = _framework_words(environment, framework) if framework else f"Environment {environment.digest[:8]}"
    shown = ", ".join(asked[:_MOST_NAMED]) + (f" and {len(asked) - _MOST_NAMED} more" if asked[_MOST_NAMED:] else "")
    extras = []
    if environment.revision > 1:
        extras.append(f"update {environment.revision}")
    if environment.spec.get("lock"):
        extras.append("by a lock")
    if environment.spec.get("gpu"):
        extras.append("with CUDA")
    if environment.spec.get("horovod"):
        extras.append("with Horovod")
    if environment.lock:
        extras.append(f"{len(lock_versions(environment.lock))} packages")
    return Title(name=f"{name} + {shown}" if shown else name, extras=", ".join(extras))


def condition_of(environment: Environment) -> Condition:
    """Where ``environment`` stands. Reads the mark of one that should be ready."""
    if environment.state == EnvironmentState.READY and not environment_is_there(environment):
        return _DAMAGED
    return Condition(
        state=environment.state,
        label=EnvironmentState(environment.state).label,
        sentence=_SENTENCES[environment.state],
    )


def disk_use() -> DiskUse:
    """How much all environments of this installation take, and may take."""
    return DiskUse(used_bytes=environments_bytes(), limit_bytes=settings.ENV.environments_max_bytes)


def package_origin() -> PackageOrigin:
    """Where builds look for packages, without a password, for administrators."""
    told = package_index(os.environ, wheelhouse=settings.ENV.wheelhouse)
    return PackageOrigin(said=told.shown, origins=told.origins)


def runs_of(environment: Environment, user: User) -> QuerySet[Run]:
    """The runs in ``environment`` that ``user`` may see, the newest first."""
    runs = runs_visible_to(user).filter(environment=environment)
    return runs.select_related("experiment", "owner").order_by("-pk")


def build_stream(environment: Environment) -> Stream | None:
    """What the builds of ``environment`` said; None before the first."""
    return Stream.objects.filter(environment=environment, kind=StreamKind.LOG).last()


def comparable(environment: Environment, user: User) -> list[Environment]:
    """The other environments that ``user`` may see and that have a lock, the last used first."""
    others = with_last_use(environments_visible_to(user)).exclude(pk=environment.pk).exclude(lock="")
    return list(others.select_related("target").order_by("-used_at"))


def _framework_words(environment: Environment, framework: dict[str, object]) -> str:
    installed = lock_versions(environment.lock)
    for name in ("tensorflow", "tensorflow-cpu"):
        if name in installed:
            return f"TensorFlow {installed[name]}"
    if framework.get("pinned_by") == "user":
        wanted = framework.get("requirements")
        return ", ".join(map(str, wanted)) if isinstance(wanted, list) else "TensorFlow"
    return f"TensorFlow {framework.get('version', '')}".strip()
