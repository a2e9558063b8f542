"""The word that a script which had to wait is not to be started at all."""

_CANNOT_START = 127


class NotStarted(Exception):
    """The script is not to be started, for the reason in the message. ``record`` is the exit that stands for it."""

    def __init__(self, sentence, **record):
        super().__init__(sentence)
        self.record = record


class CannotStart(NotStarted):
    """The script is not to be started, and that is a failure; the exit says why."""

    def __init__(self, why, **record):
        super().__init__(why, code=_CANNOT_START, signal=None, why=why, **record)
