"""Sign-in, sign-out, password, and the one-time link."""

from django.urls import include, path

from accounts.views import signin_link

urlpatterns = [
    path("link/<str:token>/", signin_link, name="signin-link"),
    path("", include("allauth.account.urls")),
]
