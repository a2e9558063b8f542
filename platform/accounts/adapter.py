"""allauth's door, with sign-up closed: whoever may submit runs code, so accounts are given by administrators."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest
from django.urls import reverse


class ClosedSignUpAdapter(DefaultAccountAdapter):
    """Sign-in, sign-out and password pages without self-registration."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        """Home, where work goes on; not the form again."""
        return reverse("home")
