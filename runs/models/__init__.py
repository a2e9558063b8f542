"""The rows behind experiments and runs, by subject."""

from runs.models.code import Snapshot, SnapshotFile, Upload
from runs.models.data import Artifact, PointBatch, Record, Series, SeriesChunk, Stream
from runs.models.definition import NamedEnvironment, NamedEnvironmentVersion
from runs.models.environment import Environment
from runs.models.framework import FrameworkVersion
from runs.models.run import Attempt, Experiment, Run, RunEvent, Task

__all__ = [
    "Artifact",
    "Attempt",
    "Environment",
    "Experiment",
    "FrameworkVersion",
    "NamedEnvironment",
    "NamedEnvironmentVersion",
    "PointBatch",
    "Record",
    "Run",
    "RunEvent",
    "Series",
    "SeriesChunk",
    "Snapshot",
    "SnapshotFile",
    "Stream",
    "Task",
    "Upload",
]
