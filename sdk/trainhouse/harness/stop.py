"""Ending a task on request: SIGTERM to the script and its children now, SIGKILL to whatever is left after the grace."""

import os
import signal
import time

from trainhouse.harness.files import json_read, json_write, mark, text_read, text_write
from trainhouse.harness.processes import descendants, signal_each


class Stop:
    """Watches the file ``stop``. Requests that come another way are written into it, so that a harness started after
    this one's death goes on where it was: ``spool/stopping`` holds when SIGTERM was sent."""

    def __init__(self, task, words):
        self._path = task.path("stop")
        self._begun_path = task.spool("stopping")
        self._default_grace_s = task.grace_s
        self._words = words
        self._asked = False
        self._killed = False
        self._begun_at = None  # by the monotonic clock
        begun_at = (json_read(self._begun_path) or {}).get("begun_at")
        if begun_at is not None:
            self._begun_at = time.monotonic() - max(0.0, time.time() - begun_at)

    @property
    def is_wanted(self):
        return self._asked or os.path.exists(self._path)

    def request(self, grace_s=None):
        """Asks for the end with ``grace_s`` of patience (None: the task's own). A request already there stays."""
        if not self.is_wanted:
            self._asked = True
            try:
                text_write(self._path, "{}\n".format(self._default_grace_s if grace_s is None else grace_s))
            except OSError:
                self._mark()

    def pursue(self, guard):
        """Takes the next step against everything below the process ``guard``, if one is due. Cheap when none is."""
        if not self.is_wanted:
            return
        if self._begun_at is None:
            self._begun_at = time.monotonic()
            try:
                json_write(self._begun_path, {"begun_at": time.time()})
            except OSError:
                pass  # costs the script a second SIGTERM if this harness dies now
            self._words.say("Asked to stop: SIGTERM now, SIGKILL after {:g} s.".format(self._grace_s()))
            signal_each((process.pid for process in descendants(guard)), signal.SIGTERM)
        elif time.monotonic() - self._begun_at >= self._grace_s():
            reached = signal_each((process.pid for process in descendants(guard)), signal.SIGKILL)
            if reached and not self._killed:
                self._killed = True
                self._words.say("Still there after the grace: {} process(es) killed.".format(reached))

    def _mark(self):
        """Room for an empty file is left on most full disks: a guard that waits to start the script looks for it."""
        try:
            mark(self._path)
        except OSError:
            pass  # this harness knows, and the server asks the next one again

    def _grace_s(self):
        try:
            return max(0.0, float(text_read(self._path) or self._default_grace_s))
        except ValueError:
            return self._default_grace_s
