"""Running a run again: the same source, script and parameters, with the same packages or with updated ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from compute.masking import MASK
from runs.environments import environment_lock_problem
from runs.errors import NotNow, SpecProblems
from runs.models import Run
from runs.sealing import unseal
from runs.services.store import run_store, run_stored
from runs.services.submit import submission_problems
from runs.spec import Problem, RunSpec
from runs.states import Again

if TYPE_CHECKING:
    from accounts.models import User


def run_again(
    run: Run, *, how: Again, actor: User, submission_key: str, secrets: Mapping[str, str] | None = None
) -> Run:
    """A new run of ``actor`` like ``run``. EXACTLY: its packages are those of the lock of ``run``, whatever became of
    its environment; UPDATED: they are resolved anew. The same ``submission_key`` gives the same run.

    The values of secret variables are taken over when ``actor`` owns ``run``, and given as ``secrets`` otherwise.
    Raises NotNow when ``run`` has no lock to repeat, SpecProblems for what stands in the way today, UserError when the
    secrets cannot be read any more.
    """
    earlier = run_stored(actor, submission_key)
    if earlier is not None:
        return earlier
    if how == Again.EXACTLY and (reason := exactly_problem(run)):
        raise NotNow(reason)
    spec = _spec_with_secrets(run, actor=actor, given=secrets or {})
    found = submission_problems(
        spec,
        user=actor,
        snapshot=run.snapshot,
        experiment_name=run.experiment.name,
        definition=run.definition,
        has_lock=how == Again.EXACTLY,
    )
    if found:
        raise SpecProblems(found)
    exactly = {"lock": run.lock, "environment_spec": run.environment_spec} if how == Again.EXACTLY else {}
    words = "exactly" if how == Again.EXACTLY else "with updated packages"
    return run_store(
        owner=actor,
        spec=spec,
        experiment_name=run.experiment.name,
        submission_key=submission_key,
        message=f"The run was submitted: {run} again, {words}.",
        name=run.name,
        tags=run.tags,
        notes=run.notes,
        snapshot=run.snapshot,
        definition_json=run.definition_json,
        cloned_from=run,
        again=how,
        **exactly,
    )


def exactly_problem(run: Run) -> str:
    """Why ``run`` cannot be repeated exactly, as a sentence; empty when it can."""
    if not run.lock or run.environment_spec is None:
        return f"{run} never got its packages, so there is no lock to repeat. Run it again with updated packages."
    return environment_lock_problem(run.environment_spec)


def secrets_to_ask(run: Run, actor: User) -> list[str]:
    """The names of the secret variables whose values ``actor`` has to give for running ``run`` again."""
    if actor.pk == run.owner_id:
        return []
    return [name for name, value in run.spec.environment_variables.items() if value == MASK]


def _spec_with_secrets(run: Run, *, actor: User, given: Mapping[str, str]) -> RunSpec:
    """The spec with the values of its secrets in place of their masks."""
    spec = run.spec
    asked = secrets_to_ask(run, actor)
    missing = [name for name in asked if not given.get(name)]
    if missing:
        raise SpecProblems(
            [Problem(field=name, message=f"{name} is a secret of {run.owner}. Type a value.") for name in missing]
        )
    values = {name: given[name] for name in asked} if asked else unseal(run.sealed_variables)
    return dataclasses.replace(spec, environment_variables={**spec.environment_variables, **values})
