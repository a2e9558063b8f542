"""The pages of experiments, runs and environments."""

from django.urls import include, path

from runs.api import uploads
from runs.views import environment_urls, named_urls, run_urls
from runs.views.again import run_again_page
from runs.views.cancel import run_cancel
from runs.views.listing import run_list
from runs.views.submit import run_check, run_new, run_packages, run_place

urlpatterns = [
    path("", run_list, name="home"),
    path("runs/", run_list, name="runs"),
    path("runs/new", run_new, name="run-new"),
    path("runs/new/place", run_place, name="run-new-place"),
    path("runs/new/packages", run_packages, name="run-new-packages"),
    path("runs/<int:pk>/again/", run_again_page, name="run-again"),
    path("runs/new/check", run_check, name="run-new-check"),
    path("runs/<int:pk>/cancel/", run_cancel, name="run-cancel"),
    path("", include(run_urls)),
    path("", include(environment_urls)),
    path("", include(named_urls)),
    path("", include(uploads)),
]
