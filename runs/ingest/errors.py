"""Why a frame is not taken. The text goes to the harness, which writes it into its own log."""

from runs.errors import RunsError


class FrameRefused(RunsError):
    """The frame is malformed; sending it again would not help."""


class TaskOver(RunsError):
    """The task is over and everything of it is here, or it is too long ago: nothing more is taken."""
