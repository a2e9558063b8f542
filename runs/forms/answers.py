"""The answers that stand in the form of a new run before anybody types."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from compute.masking import MASK
from runs.forms.distribution import DistributionFields
from runs.forms.rows import Row
from runs.forms.submit import CLONE, UPLOAD
from runs.models import Run
from runs.permissions import targets_for
from runs.spec import RunSpec

if TYPE_CHECKING:
    from accounts.models import User

_FIRST_EXPERIMENT = "default"


def first_answers(user: User) -> dict[str, Any]:
    """For a run from nothing: the experiment is that of the person's last run."""
    last = Run.objects.filter(owner=user).select_related("experiment").first()
    targets = targets_for(user)
    return {
        "submission_key": uuid.uuid4(),
        "source": UPLOAD,
        "entry_script": RunSpec().entry_script,
        "keras_metrics": True,
        **DistributionFields.distribution_answers(RunSpec()),
        "compute_target": targets[0].name if targets else "",
        "experiment": last.experiment.name if last else _FIRST_EXPERIMENT,
    }


def answers_of(run: Run) -> dict[str, Any]:
    """Those of ``run``; values of secrets are left out, to be asked for again."""
    spec = run.spec
    limit_s = spec.max_run_duration_seconds or 0
    return {
        "submission_key": uuid.uuid4(),
        "cloned_from": run.pk,
        "source": CLONE,
        "entry_script": spec.entry_script,
        "script_params": _parameter_rows(spec),
        "environment_definition": spec.environment_definition,
        "framework_version": spec.framework_version,
        "pip_packages": "\n".join(spec.pip_packages),
        "pip_requirements_file": spec.pip_requirements_file,
        "conda_packages": "\n".join(spec.conda_packages),
        "conda_channels": ", ".join(spec.conda_channels),
        "conda_dependencies_file": spec.conda_dependencies_file,
        "legacy_keras": spec.legacy_keras,
        "compute_target": spec.compute_target,
        "use_gpu": spec.use_gpu,
        "environment_variables": [
            Row(name=name, value="" if value == MASK else value, is_lost=value == MASK)
            for name, value in spec.environment_variables.items()
        ],
        "keras_metrics": spec.keras_metrics,
        **DistributionFields.distribution_answers(spec),
        "max_hours": limit_s // 3600 or None,
        "max_minutes": f"{limit_s % 3600 / 60:g}" if limit_s % 3600 else None,
        "experiment": run.experiment.name,
        "name": run.name,
        "tags": ", ".join(run.tags),
        "notes": run.notes,
    }


def _parameter_rows(spec: RunSpec) -> list[Row]:
    """``spec``'s parameters as rows that give the same argv: items of a list after the first become words alone."""
    rows = []
    for key, value in spec.script_params:
        items = value if isinstance(value, (list, tuple)) else (value,)
        words = [str(item) for item in items if item is not None and item != ""]
        rows.append(Row(name=key, value=words[0] if words else ""))
        rows += [Row(name=word) for word in words[1:]]
    return rows
