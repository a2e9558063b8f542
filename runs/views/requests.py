"""What a view behind the sign-in wall is called with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpRequest

if TYPE_CHECKING:
    from django_htmx.middleware import HtmxDetails

    from accounts.models import User


class PageRequest(HttpRequest):
    """A request whose person is known and which says whether htmx sent it. For annotations alone."""

    user: User
    htmx: HtmxDetails
