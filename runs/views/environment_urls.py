"""The addresses of environments."""

from django.urls import path

from runs.api import environments as downloads
from runs.views import environments

urlpatterns = [
    path("environments/", environments.environment_list, name="environments"),
    path("environments/frameworks/", environments.frameworks, name="frameworks"),
    path("environments/<int:environment_id>/", environments.environment, name="environment"),
    path("environments/<int:environment_id>/delete/", environments.delete, name="environment-delete"),
    path("environments/<int:environment_id>/rebuild/", environments.rebuild, name="environment-rebuild"),
    path("environments/<int:environment_id>/update/", environments.update, name="environment-update"),
    path("environments/<int:environment_id>/build.log", downloads.log, name="environment-log"),
    path("environments/<int:environment_id>/requirements.txt", downloads.requirements, name="environment-requirements"),
    path("environments/<int:environment_id>/environment.yml", downloads.conda, name="environment-conda"),
    path("environments/<int:environment_id>/Dockerfile", downloads.container, name="environment-dockerfile"),
]
