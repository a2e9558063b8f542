"""Named environments: found for a run, made, edited, put away, built ahead."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from compute.models import ComputeTarget
from compute.registry import backend_of
from runs.dispatch import enqueue_build
from runs.environments import environment_request, versions, wishes_of
from runs.environments.definitions import effective
from runs.errors import NotNow, SpecProblems
from runs.models import Environment, NamedEnvironment, NamedEnvironmentVersion
from runs.permissions import named_environments_visible_to
from runs.services.surroundings import target_facts
from runs.spec import (
    EXCLUDED_OPTIONS,
    Definition,
    Problem,
    RunSpec,
    Surroundings,
    TargetFacts,
    problems,
    reference_parts,
)
from runs.states import EnvironmentState

if TYPE_CHECKING:
    from accounts.models import User


def definition_find(reference: str, user: User) -> tuple[Definition | None, Problem | None]:
    """The content that ``reference`` (``name`` for the newest version, ``name@3``) means for ``user``, or what is wrong
    with it. Both None for no reference."""
    if not reference:
        return None, None
    parts = reference_parts(reference)
    visible = named_environments_visible_to(user)
    named = visible.filter(name__iexact=parts[0]).first() if parts else None
    if parts is None or named is None:
        return None, _problem(f"There is no named environment {reference!r} for you.{_known(user)}")
    if named.archived_at is not None:
        return None, _problem(
            f"The named environment {named} is archived. Choose another one, or have {named.owner} or an administrator "
            "restore it."
        )
    version = named.versions.filter(**({} if parts[1] is None else {"number": parts[1]})).first()
    if version is None:
        newest = named.versions.values_list("number", flat=True).first()
        return None, _problem(f"{named} has no version {parts[1]}; its newest is {newest}.")
    return version.definition, None


def definition_problems(
    definition: Definition, *, spec: RunSpec | None = None, target: TargetFacts | None = None
) -> list[Problem]:
    """What is wrong with the content of ``definition``, by the fields of RunSpec. ``spec`` and ``target`` are those of
    the run that names it; without a target it is not asked what one can do."""
    wanted, read = effective(spec or RunSpec(), definition, None)
    around = Surroundings(
        files=frozenset(definition.files),
        target=target,
        versions=versions(),
        allow_urls=settings.ENV.allow_url_packages,
    )
    found = [*problems(wanted, around), *wishes_of(wanted, read).problems]
    return [problem for problem in found if problem.field in EXCLUDED_OPTIONS]


def named_create(
    *, owner: User, definition: Definition, description: str = "", is_shared: bool = False, note: str = ""
) -> NamedEnvironment:
    """A new named environment with its first version. Raises SpecProblems, of the field ``name`` when it is taken."""
    try:
        with transaction.atomic():
            named = NamedEnvironment.objects.create(
                name=definition.name, description=description, owner=owner, is_shared=is_shared
            )
            _version_add(named, 1, definition, note=note, actor=owner)
    except IntegrityError as error:
        message = f"The name {definition.name!r} is taken, perhaps by a private one. Choose another."
        raise SpecProblems([Problem(field="name", message=message)]) from error
    return named


def named_edit(
    named: NamedEnvironment,
    *,
    actor: User,
    base: int,
    definition: Definition,
    description: str,
    is_shared: bool,
    note: str = "",
) -> NamedEnvironmentVersion:
    """The newest version after the edit: a new one, or the one that is there when its content is the same. ``base`` is
    the number of the version that was edited. Raises NotNow when a newer one has come since."""
    with transaction.atomic():
        locked = NamedEnvironment.objects.select_for_update().get(pk=named.pk)
        newest = locked.versions.select_related("named", "created_by").latest("number")
        if newest.number != base:
            raise NotNow(
                f"{newest.created_by or 'Somebody'} saved version {newest.number} meanwhile; this page began from "
                f"version {base}. What you typed is still here. Look at version {newest.number} first, then save again "
                f"to make yours version {newest.number + 1}."
            )
        NamedEnvironment.objects.filter(pk=locked.pk).update(description=description, is_shared=is_shared)
        if _content(newest.definition) == _content(definition):
            return newest
        return _version_add(locked, newest.number + 1, definition, note=note, actor=actor)


def named_archive(named: NamedEnvironment, *, is_archived: bool) -> None:
    """Puts it out of the choice for new runs, or back. Nothing else changes."""
    NamedEnvironment.objects.filter(pk=named.pk).update(archived_at=timezone.now() if is_archived else None)


def named_delete(named: NamedEnvironment) -> None:
    """Deletes it with all versions. Runs keep what they were submitted with, and what was built stays."""
    named.delete()


def named_build(version: NamedEnvironmentVersion, *, target: ComputeTarget, gpu: bool) -> Environment:
    """The environment of this version on ``target``, ordered ahead of any run. Idempotent. May block for a second,
    since Pythons are tried out. Raises SpecProblems for what ``target`` cannot do, EnvironmentFailed when no Python is
    there."""
    definition, facts = version.definition, target_facts(target)
    found = definition_problems(definition, spec=RunSpec(compute_target=target.name), target=facts)
    if gpu and not max(facts.gpus_per_node, default=0):
        found.append(Problem(field="use_gpu", message=f"Target {target} has no GPU. Build it for the CPU."))
    if found:
        raise SpecProblems(found)
    spec, read = effective(RunSpec(compute_target=target.name, use_gpu=gpu), definition, None)
    environment = environment_request(spec, target, backend_of(target), read)
    version.environments.add(environment)
    if environment.state == EnvironmentState.REQUESTED:
        enqueue_build(environment.pk)
    return environment


def _version_add(
    named: NamedEnvironment, number: int, definition: Definition, *, note: str, actor: User
) -> NamedEnvironmentVersion:
    content = definition.to_json()
    del content["name"], content["number"]
    return NamedEnvironmentVersion.objects.create(
        named=named, number=number, content=content, note=note, created_by=actor
    )


def _content(definition: Definition) -> Definition:
    return dataclasses.replace(definition, name="", number=0)


def _known(user: User) -> str:
    names = list(named_environments_visible_to(user).filter(archived_at=None).values_list("name", flat=True)[:8])
    return f" Those you may use: {', '.join(names)}." if names else " You may use none yet."


def _problem(message: str) -> Problem:
    return Problem(field="environment_definition", message=message)
