"""Experiments and runs: from the form to the finished run."""

from django.apps import AppConfig


class RunsConfig(AppConfig):
    name = "runs"

    def ready(self) -> None:
        from runs import permissions  # noqa: F401  (registers the rules)
