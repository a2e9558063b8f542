"""Sign-in, sign-out, password, and the one-time link.

Of allauth's addresses only these: nothing here sends mail, so addresses are neither confirmed nor a way back in.
"""

from allauth.account import views as allauth
from django.contrib.auth.decorators import login_not_required
from django.urls import path
from django.views.generic import TemplateView

from accounts.views import signin_link

_ask_an_administrator = login_not_required(TemplateView.as_view(template_name="account/password_reset.html"))

urlpatterns = [
    path("link/<str:token>/", signin_link, name="signin-link"),
    path("login/", allauth.login, name="account_login"),
    path("logout/", allauth.logout, name="account_logout"),
    path("inactive/", allauth.account_inactive, name="account_inactive"),
    path("signup/", allauth.signup, name="account_signup"),
    path("reauthenticate/", allauth.reauthenticate, name="account_reauthenticate"),
    path("password/change/", allauth.password_change, name="account_change_password"),
    path("password/set/", allauth.password_set, name="account_set_password"),
    path("password/reset/", _ask_an_administrator, name="account_reset_password"),
]
