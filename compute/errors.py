"""Errors of compute, in a tree::

ComputeError
├── TargetUnreachable    the machine does not answer; try again later
├── TargetMisconfigured  what is configured for it cannot be used; the text says why
├── LaunchRefused        the machine answers, and says no; the text says why
└── LeaseLost            the slots were taken by another holder in the meantime
"""


class ComputeError(Exception):
    """The root of this tree."""


class TargetUnreachable(ComputeError):
    """The target does not answer. Retryable."""


class TargetMisconfigured(ComputeError):
    """The target's configuration cannot be used. The text names every key, its value and what is allowed."""


class LaunchRefused(ComputeError):
    """The target refuses this launch; trying the same again will not help."""


class LeaseLost(ComputeError):
    """A slot that the placement chose was taken first. Place again."""
