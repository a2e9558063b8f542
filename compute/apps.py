"""Which machines exist, who holds them, how something starts there; knows nothing of runs."""

from django.apps import AppConfig


class ComputeConfig(AppConfig):
    name = "compute"

    def ready(self) -> None:
        from compute import checks  # noqa: F401 - registers itself
