"""Environments: what a run's packages are, built once for each digest."""

from typing import Any

from django.db import models
from django.urls import reverse

from runs.states import EnvironmentState


class Environment(models.Model):
    """One set of packages on one target. ``spec`` decides the digest; ``lock`` is what was really installed.

    Rows with the same ``wishes`` are revisions of one another: the same was asked for, and resolved at another time.
    """

    target = models.ForeignKey("compute.ComputeTarget", on_delete=models.CASCADE, related_name="environments")
    digest = models.CharField(max_length=64)
    wishes = models.CharField(max_length=64, db_index=True, help_text="The digest without the revision.")
    revision = models.PositiveIntegerField(default=1)
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

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Stores the row. One whose wishes were not given is the first of its own."""
        self.wishes = self.wishes or self.digest
        super().save(*args, **kwargs)

    def get_absolute_url(self) -> str:
        return reverse("environment", args=[self.pk])
