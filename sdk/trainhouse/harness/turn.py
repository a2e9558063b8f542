"""A rank's wait for its turn: ``mpirun`` starts it, and tells it how to find the others (see ``rank``)."""

import os
import signal
import time

from trainhouse.harness.files import json_read
from trainhouse.harness.mpirun import DEFAULTS
from trainhouse.harness.not_started import NotStarted

_LOOK_EVERY_S = 0.05


class Turn:
    """The turn of one rank: begun by ``rank.json``, over when nobody holds ``rank.lock`` any more."""

    def __init__(self, task):
        self._task = task

    def awaited(self):
        """Waits for mpirun and returns the script's environment. Raises NotStarted."""
        while True:
            told = json_read(self._task.path("rank.json"))
            if told is not None:
                break
            if os.path.exists(self._task.path("stop")):
                raise NotStarted(
                    "Asked to stop before mpirun had started this rank: the script is not started.",
                    code=None,
                    signal=int(signal.SIGTERM),
                )
            time.sleep(_LOOK_EVERY_S)
        pairs = told["environ"].items()
        return {
            **DEFAULTS,
            **self._task.environ,
            **{os.fsencode(name): os.fsencode(value) for name, value in pairs},
        }
