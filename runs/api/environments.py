"""Environments as downloads: the build's log, and the lock in the forms that other tools read."""

from __future__ import annotations

import io

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_GET

from runs.api.sending import send_file
from runs.environments.export import dockerfile, environment_yml, requirements_txt
from runs.models import Environment
from runs.selectors.environments import build_stream, environment_for, environment_title
from runs.stores.logs import log_path, log_size

_TEXT = "text/plain; charset=utf-8"


@login_required
@require_GET
def log(request: HttpRequest, environment_id: int) -> HttpResponseBase:
    """What the builds of the environment said, as it was written."""
    found = environment_for(request.user, environment_id)
    stream = build_stream(found)
    size_bytes = log_size(stream.pk) if stream else 0
    file = log_path(stream.pk).open("rb") if stream and size_bytes else io.BytesIO()
    return send_file(request, file, size_bytes=size_bytes, name=f"{_name(found)}-build.log", content_type=_TEXT)


@login_required
@require_GET
def requirements(request: HttpRequest, environment_id: int) -> HttpResponseBase:
    """The lock as a requirements file."""
    found = _locked(request, environment_id)
    return _send(request, "requirements.txt", requirements_txt(found.lock, origin=_origin(found)))


@login_required
@require_GET
def conda(request: HttpRequest, environment_id: int) -> HttpResponseBase:
    """The lock as a conda file."""
    found = _locked(request, environment_id)
    text = environment_yml(found.lock, name=_name(found), python=found.python_version, origin=_origin(found))
    return _send(request, "environment.yml", text)


@login_required
@require_GET
def container(request: HttpRequest, environment_id: int) -> HttpResponseBase:
    """The lock as a Dockerfile."""
    found = _locked(request, environment_id)
    gpu = bool(found.spec.get("gpu"))
    text = dockerfile(found.lock, python=found.python_version, gpu=gpu, origin=_origin(found))
    return _send(request, "Dockerfile", text)


def _locked(request: HttpRequest, environment_id: int) -> Environment:
    """The environment, when it was ever built. Raises Http404."""
    found = environment_for(request.user, environment_id)
    if not found.lock:
        raise Http404(f"Environment {environment_id} has no lock: it was never built.")
    return found


def _send(request: HttpRequest, name: str, text: str) -> HttpResponseBase:
    data = text.encode()
    return send_file(request, io.BytesIO(data), size_bytes=len(data), name=name, content_type=_TEXT)


def _name(found: Environment) -> str:
    return f"trainhouse-{found.digest[:8]}"


def _origin(found: Environment) -> str:
    address = settings.PUBLIC_URL.rstrip("/") + found.get_absolute_url()
    built = f", built {found.ready_at:%Y-%m-%d}" if found.ready_at else ""
    return f"{environment_title(found).name} on Python {found.python_version}{built}: {address}"
