"""Which machines exist, who holds them, how something starts there; knows nothing of runs."""

from django.apps import AppConfig


class ComputeConfig(AppConfig):
    name = "compute"
