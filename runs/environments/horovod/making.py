"""How far the compilation is, read from what make and pip print."""

from __future__ import annotations

import re

from runs.environments.progress import Progress

PHASE = "horovod"
_MADE = re.compile(r"\[ *(\d{1,3})%\] (Building|Linking|Built)")


class CompileProgress:
    """Tells the stages of the wheel; ``progress`` None tells nobody. The percentages of make are of its targets; the
    two largest files, both TensorFlow's, come last and take the longest, which is why the end goes slowly."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._done = 0

    def phase(self, label: str) -> None:
        """A stage has begun."""
        if self._progress is not None:
            self._progress.say(PHASE, label, done=self._done, total=100)

    def line(self, line: str) -> bool:
        """One line of the compilation's output. All of them belong into the log."""
        done = made_percent(line)
        if done is not None and done >= self._done:
            self._done = done
            if self._progress is not None:
                self._progress.say(PHASE, "Compiling Horovod", done=done, total=100)
        return True


def made_percent(line: str) -> int | None:
    """What make says that it has done, ``45`` of ``[ 45%] Building …``; None for any other line."""
    match = _MADE.search(line)
    return min(int(match[1]), 100) if match else None
