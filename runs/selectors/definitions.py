"""Named environments as their pages show them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.db.models import F, Max, QuerySet
from django.db.models.functions import Lower
from django.http import Http404

from runs.models import Environment, NamedEnvironment, NamedEnvironmentVersion, Run
from runs.permissions import named_environments_visible_to
from runs.selectors.environments import Condition, condition_of
from runs.spec import Definition

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from accounts.models import User

_MOST_NAMED = 4
#: Of each side of a difference.
_MOST_LINES = 200

_LABELS = {
    "framework_version": "TensorFlow",
    "legacy_keras": "Legacy Keras",
    "pip_packages": "pip packages",
    "requirements": "Requirements",
    "conda_packages": "conda packages",
    "conda_channels": "conda channels",
    "conda_file": "conda file",
    "environment_variables": "Environment variables",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One field that differs between two versions, by lines. ``is_cut``: there are more than are shown."""

    label: str
    removed: list[str]
    added: list[str]
    is_cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """An environment that was built of a version ahead of any run."""

    number: int
    environment: Environment
    condition: Condition


def named_environment_for(user: User | AnonymousUser, named_id: int) -> NamedEnvironment:
    """The named environment. Raises Http404 when ``user`` may not see it, in the same words as when there is none."""
    visible = named_environments_visible_to(cast("User", user))  # every address is behind the sign-in
    found = visible.filter(pk=named_id).first()
    if found is None:
        raise Http404(f"There is no named environment {named_id} that you may see.")
    return found


def named_environment_of(run: Run, user: User | AnonymousUser) -> NamedEnvironment | None:
    """The named environment that ``run`` names, as far as it is still there and ``user`` may see it."""
    definition = run.definition
    if definition is None:
        return None
    return named_environments_visible_to(cast("User", user)).filter(name=definition.name).first()


def newest_versions(named: QuerySet[NamedEnvironment]) -> QuerySet[NamedEnvironmentVersion]:
    """The newest version of each, by name."""
    found = NamedEnvironmentVersion.objects.filter(named__in=named.values("pk"))
    newest = found.annotate(newest=Max("named__versions__number")).filter(number=F("newest"))
    return newest.select_related("named__owner").order_by(Lower("named__name"))


def named_versions_of(environment: Environment, user: User | AnonymousUser) -> list[NamedEnvironmentVersion]:
    """The versions of which ``environment`` was built ahead of any run, as far as ``user`` may see them."""
    visible = named_environments_visible_to(cast("User", user))
    versions = NamedEnvironmentVersion.objects.filter(environments=environment, named__in=visible.values("pk"))
    return list(versions.select_related("named").defer("content"))


def definition_words(definition: Definition) -> str:
    """What it holds, in a line: ``TensorFlow 2.21.0 + pandas, requirements``."""
    version = definition.framework_version or "newest"
    packages = [*definition.pip_packages, *definition.conda_packages]
    shown = packages[:_MOST_NAMED]
    if packages[_MOST_NAMED:]:
        shown.append(f"{len(packages) - _MOST_NAMED} more")
    if definition.requirements:
        shown.append("a requirements file")
    if definition.conda_file:
        shown.append("a conda file")
    if definition.legacy_keras:
        shown.append("legacy Keras")
    return f"TensorFlow {version}{' + ' if shown else ''}{', '.join(shown)}"


def content_changes(before: Definition, after: Definition) -> list[FieldChange]:
    """What has to happen to the content of ``before`` to get that of ``after``, by field. The order of lines does
    not count."""
    changes = []
    for field, label in _LABELS.items():
        old, new = _lines_of(getattr(before, field)), _lines_of(getattr(after, field))
        if sorted(old) == sorted(new):
            continue
        removed, added = _beyond(old, new), _beyond(new, old)
        is_cut = max(len(removed), len(added)) > _MOST_LINES
        changes.append(
            FieldChange(label=label, removed=removed[:_MOST_LINES], added=added[:_MOST_LINES], is_cut=is_cut)
        )
    return changes


def built_of(named: NamedEnvironment) -> list[Built]:
    """What was built of its versions ahead of any run, the newest version first."""
    rows = Environment.objects.filter(named_versions__named=named).annotate(of_version=F("named_versions__number"))
    rows = rows.select_related("target").order_by("-of_version", "pk")
    return [Built(number=row.of_version, environment=row, condition=condition_of(row)) for row in rows]


def _beyond(lines: list[str], others: list[str]) -> list[str]:
    """The lines that ``others`` does not have, or not as often, in their order."""
    left = Counter(others)
    beyond = []
    for line in lines:
        left[line] -= 1
        if left[line] < 0:
            beyond.append(line)
    return beyond


def _lines_of(value: Any) -> list[str]:
    if isinstance(value, bool):
        return ["yes"] if value else []
    if isinstance(value, dict):
        return [f"{name}={content}" for name, content in value.items()]
    return value.splitlines() if isinstance(value, str) else list(value)
