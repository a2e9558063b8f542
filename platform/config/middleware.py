"""Walls around every page: who must be signed in, and which scripts may run where."""

from collections.abc import Callable

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin


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
