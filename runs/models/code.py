"""The code that a run executes: snapshots, and the uploads they are made from."""

import uuid

from django.conf import settings
from django.db import models


class Snapshot(models.Model):
    """A folder of files at one moment, named by the digest of its manifest: the same folder is kept once."""

    digest = models.CharField(max_length=64, unique=True)
    file_count = models.PositiveIntegerField()
    size_bytes = models.PositiveBigIntegerField()
    git = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.digest[:12]


class SnapshotFile(models.Model):
    """One file of a snapshot. The content lies in the store under its SHA-256, once for all snapshots."""

    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="files")
    path = models.CharField(max_length=1024)
    sha256 = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()
    executable = models.BooleanField(default=False)

    class Meta:
        ordering = ["path"]
        constraints = [models.UniqueConstraint(fields=["snapshot", "path"], name="path_once_a_snapshot")]

    def __str__(self) -> str:
        return self.path


class Upload(models.Model):
    """A source folder on its way in: one zip, or files in batches. Becomes a snapshot, or is swept after a day."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    name = models.CharField(max_length=255, blank=True)
    snapshot = models.ForeignKey(Snapshot, null=True, blank=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return str(self.id)
