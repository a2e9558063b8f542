"""The harness's own words: sentences for the person who reads the run, in a stream apart from the script's output."""

import os
import time


class Words:
    """Appends to ``spool/harness``. Every sentence is one write, so guard and harness can speak side by side."""

    def __init__(self, path):
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def say(self, sentence):
        """Writes one sentence with the time in front. A full disk silences it, no more."""
        line = "{} {}\n".format(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), sentence)
        try:
            os.write(self._descriptor, line.encode("utf-8", "backslashreplace"))
        except OSError:
            pass

    def say_failure(self, sentence):
        """Writes ``sentence`` and the traceback of the exception being handled."""
        import traceback  # a hundredth of a second that only a failure has to pay

        self.say(sentence + "\n" + traceback.format_exc())
