"""The pages of experiments and runs."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
