"""The page behind a sign-in link."""

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.errors import LinkRefused
from accounts.services import signin_link_use, signin_link_user


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def signin_link(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows a button and changes nothing, so that a preview does not use the link up; POST signs in."""
    try:
        if request.method != "POST":
            context = {"person": signin_link_user(token)}
            return _private(render(request, "accounts/signin_link.html", context))
        user = signin_link_use(token)
    except LinkRefused as refusal:
        return _private(render(request, "accounts/signin_link.html", {"refusal": refusal.reason}, status=410))
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    if not user.has_usable_password():
        messages.info(request, "You are signed in. Set a password now, so that you can come back.")
        return redirect("account_set_password")
    messages.success(request, "You are signed in.")
    return redirect("home")


def _private(response: HttpResponse) -> HttpResponse:
    """The address holds the token, so it is told to no other site. (``no-referrer`` would make browsers post the form
    with ``Origin: null``, which the CSRF check refuses.)"""
    response["Referrer-Policy"] = "same-origin"
    return response
