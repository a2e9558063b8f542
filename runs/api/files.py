"""The files of a run as downloads."""

from __future__ import annotations

import os
import posixpath

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_GET

from runs.api.sending import send_file
from runs.selectors.artifacts import artifact_for, artifact_open
from runs.selectors.run import run_for


@login_required
@require_GET
def download(request: HttpRequest, pk: int, artifact_id: int) -> HttpResponseBase:
    """One file as it is now, from its task's folder or from the store."""
    artifact = artifact_for(run_for(request.user, pk), artifact_id)
    try:
        file = artifact_open(artifact)
    except FileNotFoundError as error:
        raise Http404(f"{artifact.path} is no longer there: the script removed or renamed it.") from error
    return send_file(
        request,
        file,
        size_bytes=os.fstat(file.fileno()).st_size,
        name=posixpath.basename(artifact.path),
        content_type="application/octet-stream",
    )
