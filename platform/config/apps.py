"""The project package as an app, for its commands and checks."""

from django.apps import AppConfig
from django.core.management import call_command
from django.db.models.signals import post_migrate


class ConfigConfig(AppConfig):
    name = "config"
    verbose_name = "Trainhouse"

    def ready(self) -> None:
        from config import checks  # noqa: F401 - registers itself, which needs the apps

        post_migrate.connect(create_cache_table, sender=self)


def create_cache_table(using: str, **kwargs: object) -> None:
    """The cache's table, which no migration makes."""
    call_command("createcachetable", database=using, verbosity=0)
