"""What an administrator has changed in the catalogue of TensorFlow versions."""

from django.db import models
from simple_history.models import HistoricalRecords


class FrameworkVersion(models.Model):
    """A version of the shipped catalogue with whether it is offered, or one that the administrator has added.

    Of a shipped version only ``is_offered`` counts; the rest stays as it is shipped. ``pythons`` are minor versions
    separated by commas; ``added`` has requirements and ``limits`` sentences, one a line; ``horovod_as`` is the shipped
    version whose Horovod recipe serves this one too. Without its row a version is as it was shipped.
    """

    class Keras(models.IntegerChoices):
        TWO = 2, "Keras 2"
        THREE = 3, "Keras 3"

    version = models.CharField(max_length=40, unique=True)
    is_offered = models.BooleanField("offered", default=True)
    pythons = models.CharField(max_length=200, blank=True)
    keras = models.PositiveSmallIntegerField("tf.keras", choices=Keras.choices, null=True, blank=True)
    added = models.TextField("packages to add", max_length=2000, blank=True)
    horovod_as = models.CharField("Horovod as for", max_length=40, blank=True)
    limits = models.TextField("good to know", max_length=4000, blank=True)
    history = HistoricalRecords()

    class Meta:
        ordering = ["-version"]
        verbose_name = "TensorFlow version"

    def __str__(self) -> str:
        return f"TensorFlow {self.version}"
