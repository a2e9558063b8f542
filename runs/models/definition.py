"""Named environments: package options that were saved under a name, in versions that never change."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower
from django.urls import reverse

from runs.models.environment import Environment
from runs.spec import Definition


class NamedEnvironment(models.Model):
    """A name with its versions. Shared: everybody may use it; only its owner and administrators may change it."""

    name = models.CharField(max_length=60)
    description = models.TextField(blank=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="named_environments")
    is_shared = models.BooleanField(default=False)
    archived_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = [Lower("name")]
        constraints = [models.UniqueConstraint(Lower("name"), name="named_environment_once")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("named-environment", args=[self.pk])


class NamedEnvironmentVersion(models.Model):
    """What a named environment holds from one edit on. Written once; ``content`` is a Definition without its name."""

    named = models.ForeignKey(NamedEnvironment, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    content = models.JSONField()
    note = models.CharField(max_length=500, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    environments = models.ManyToManyField(
        Environment, related_name="named_versions", help_text="What was built of it ahead of any run."
    )

    class Meta:
        ordering = ["named", "-number"]
        constraints = [models.UniqueConstraint(fields=["named", "number"], name="version_once_a_named_environment")]

    def __str__(self) -> str:
        return f"{self.named}@{self.number}"

    @property
    def definition(self) -> Definition:
        """The content under its name."""
        return Definition.from_json({**self.content, "name": self.named.name, "number": self.number})
