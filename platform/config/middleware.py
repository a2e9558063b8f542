"""Walls around every page: who must be signed in, and which scripts may run where."""

import errno
import logging
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.db import OperationalError
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin

log = logging.getLogger(__name__)


class SignInRequired(LoginRequiredMiddleware):
    """Every view asks for a signed-in person unless it is marked ``login_not_required``; the API answers 401."""

    def handle_no_permission(  # type: ignore[override]
        self, request: HttpRequest, view_func: Callable[..., HttpResponseBase]
    ) -> HttpResponseBase:
        if request.path.startswith("/api/"):
            return JsonResponse({"error": "Sign in first."}, status=401)
        return super().handle_no_permission(request, view_func)


class AdminScripts(MiddlewareMixin):
    """Lets the administration's own scripts run, and nobody else's: its theme computes expressions in attributes."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if request.path.startswith(reverse("admin:index")):
            response._csp_update = {"script-src": ["'unsafe-eval'", "'unsafe-inline'"]}  # type: ignore[attr-defined]
        return response


class FullDisk(MiddlewareMixin):
    """Answers 507 and logs one sentence when a view could not write because the disk is full."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        if not is_full_disk(exception):
            return None
        log.error("The disk of the data folder %s is full: make room there.", settings.DATA_DIR)
        if request.path.startswith("/api/"):
            return JsonResponse({"error": "The server's disk is full."}, status=507)
        return render(request, "507.html", status=507)


def is_full_disk(error: Exception) -> bool:
    """Whether ``error`` comes from a disk, or a quota, that has no room left."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, OperationalError) and ("disk is full" in str(error) or "No space left" in str(error))
