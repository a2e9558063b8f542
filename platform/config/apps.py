"""The project package as an app, for its commands and checks."""

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    name = "config"
    verbose_name = "Trainhouse"

    def ready(self) -> None:
        from config import checks  # noqa: F401 - registers itself, which needs the apps
