"""The loop beside the workers: re-enqueues what is due, watches tasks, sorts points, sweeps up."""

from runs.supervisor.loop import supervise_forever

__all__ = ["supervise_forever"]
