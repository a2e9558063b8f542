"""What a run produces: streams of bytes, series of numbers, records and files.

Everything that a task sends is an append-only stream of bytes, and the byte offset is its only cursor. A log's bytes
go to a file. The bytes of a point stream are JSON lines; they become packed points, and the row's ``accepted_bytes``
moves in the same transaction, so that nothing is taken twice.
"""

from django.db import models

from runs.models.environment import Environment
from runs.models.run import Run, Task
from runs.states import ArtifactPlace, SeriesKind, StreamKind


class Stream(models.Model):
    """An append-only sequence of bytes of one task, or of one environment's build."""

    task = models.ForeignKey(Task, null=True, on_delete=models.CASCADE, related_name="streams")
    environment = models.ForeignKey(Environment, null=True, on_delete=models.CASCADE, related_name="streams")
    name = models.CharField(max_length=40)
    kind = models.CharField(max_length=10, choices=StreamKind.choices, default=StreamKind.LOG)
    accepted_bytes = models.PositiveBigIntegerField(default=0, help_text="Point streams: bytes taken. Logs: unused.")
    is_closed = models.BooleanField(default=False, help_text="The sender said that nothing more comes.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["task", "name"], name="stream_once_a_task"),
            models.CheckConstraint(
                condition=models.Q(task__isnull=False) ^ models.Q(environment__isnull=False),
                name="stream_has_one_source",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Series(models.Model):
    """A named sequence of points (step, wall time, value) of one task; point number i has index i for ever."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="series")
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="series")
    kind = models.CharField(max_length=10, choices=SeriesKind.choices, default=SeriesKind.METRIC)
    name = models.CharField(max_length=250)
    count = models.PositiveBigIntegerField(default=0)
    last_step = models.FloatField(null=True)
    last_value = models.FloatField(null=True)
    last_at = models.FloatField(null=True, help_text="Unix seconds.")
    min_value = models.FloatField(null=True)
    max_value = models.FloatField(null=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["task", "kind", "name"], name="series_once_a_task")]
        indexes = [models.Index(fields=["run", "kind"], name="series_by_run")]

    def __str__(self) -> str:
        return self.name


class SeriesChunk(models.Model):
    """Points ``first_index`` to ``first_index + count - 1`` of a series: three float64 columns, one after another."""

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="chunks")
    first_index = models.PositiveBigIntegerField()
    count = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        ordering = ["series", "first_index"]
        constraints = [models.UniqueConstraint(fields=["series", "first_index"], name="chunk_once_a_series")]

    def __str__(self) -> str:
        return f"{self.series} {self.first_index}+{self.count}"


class PointBatch(models.Model):
    """The points of one request, for several series at once, until the supervisor sorts them into chunks.

    ``layout`` is a list of ``[series id, first index, count]``; ``data`` holds for each of them three float64 columns.
    """

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="point_batches")
    layout = models.JSONField()
    data = models.BinaryField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"batch {self.pk}"


class Record(models.Model):
    """Something logged that is no series: a row, a table, an image, a text."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="records")
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="records")
    kind = models.CharField(max_length=20)
    name = models.CharField(max_length=250)
    data = models.JSONField()
    at = models.FloatField(help_text="Unix seconds.")

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name


class Artifact(models.Model):
    """A file that a run put out. While the task lives it is read from there; at the end the server keeps it."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="artifacts")
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="artifacts")
    path = models.CharField(max_length=1024)
    size_bytes = models.PositiveBigIntegerField()
    modified_at = models.FloatField(help_text="Unix seconds.")
    place = models.CharField(max_length=10, choices=ArtifactPlace.choices, default=ArtifactPlace.TASK)
    storage_key = models.CharField(max_length=1200, blank=True)

    class Meta:
        ordering = ["path"]
        constraints = [models.UniqueConstraint(fields=["task", "path"], name="artifact_once_a_task")]

    def __str__(self) -> str:
        return self.path
