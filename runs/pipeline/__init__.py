"""The journey of a run, a module a stretch: prepare, place, launch, watch, finish. ``advance`` walks it."""

from runs.pipeline.advance import advance
from runs.pipeline.watch import watch_runs

__all__ = ["advance", "watch_runs"]
