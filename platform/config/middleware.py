"""What differs for the pages of the administration."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin


class AdminScripts(MiddlewareMixin):
    """Lets the administration's own scripts run, and nobody else's: its theme computes expressions in attributes."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if request.path.startswith(reverse("admin:index")):
            response._csp_update = {"script-src": ["'unsafe-eval'", "'unsafe-inline'"]}  # type: ignore[attr-defined]
        return response
