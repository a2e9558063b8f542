"""Environments: what a run's packages are, built once for each digest."""

from django.db import models
from django.urls import reverse

from runs.states import EnvironmentState


class Environment(models.Model):
    """One set of packages on one target. ``spec`` decides the digest; ``lock`` is what was really installed."""

    target = models.ForeignKey("compute.ComputeTarget", on_delete=models.CASCADE, related_name="environments")
    digest = models.CharField(max_length=64)
    spec = models.JSONField()
    state = models.CharField(max_length=20, choices=EnvironmentState.choices, default=EnvironmentState.REQUESTED)
    state_since = models.DateTimeField(auto_now_add=True)
    python_version = models.CharField(max_length=20, blank=True)
    lock = models.TextField(blank=True)
    path = models.CharField(max_length=500, blank=True)
    size_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    error = models.TextField(blank=True)
    progress = models.JSONField(default=dict, blank=True)
    build_count = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    ready_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["target", "digest"], name="environment_once_a_target")]

    def __str__(self) -> str:
        return self.digest[:12]

    def get_absolute_url(self) -> str:
        return reverse("environment", args=[self.pk])
