"""Every address of the site, by room."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("runs.urls")),
    path("accounts/", include("accounts.urls")),
    path("admin/", admin.site.urls),
]
