"""The files that a run put out, and their bytes wherever they lie."""

from __future__ import annotations

import os
from typing import BinaryIO

from django.conf import settings
from django.db.models import QuerySet
from django.http import Http404

from compute.errors import ComputeError
from compute.registry import backend_of
from runs.models import Artifact, Run
from runs.states import ArtifactPlace


def artifact_list(run: Run) -> QuerySet[Artifact]:
    """The files of ``run``, by task and path."""
    return Artifact.objects.filter(run=run).select_related("task").order_by("task_id", "path")


def artifact_for(run: Run, artifact_id: int) -> Artifact:
    """The file ``artifact_id`` of ``run``. Raises Http404."""
    artifact = artifact_list(run).select_related("task", "run__target").filter(pk=artifact_id).first()
    if artifact is None:
        raise Http404(f"Run {run.pk} has no file {artifact_id}.")
    return artifact


def artifact_open(artifact: Artifact) -> BinaryIO:
    """The bytes of ``artifact``, opened for reading; the caller closes it.

    A run that ends moves its files into the store at any moment, so a file that is no longer in its task's folder is
    looked for there once more. Raises FileNotFoundError when it is nowhere.
    """
    if artifact.place == ArtifactPlace.TASK:
        try:
            return _open_in_task(artifact)
        except FileNotFoundError:
            artifact.refresh_from_db()
            if artifact.place == ArtifactPlace.TASK:
                raise
    return open(settings.DATA_DIR / "artifacts" / artifact.storage_key, "rb")


def _open_in_task(artifact: Artifact) -> BinaryIO:
    try:
        handle = backend_of(artifact.run.target).open_output(artifact.task.backend_handle, artifact.path)
    except ComputeError as error:
        raise FileNotFoundError(artifact.path) from error
    return os.fdopen(handle, "rb")
