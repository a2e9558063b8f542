"""Sign-in, sign-out, password, and the one-time link."""

from django.urls import include, path

urlpatterns = [
    path("", include("allauth.account.urls")),
]
