"""The program's answers, taken out of what it prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

_MARK = '{"conda": '


class AnswerReader:
    """Hands each answer to ``answers(kind, value)``; ``error`` is the one that the program ended with, as its class and
    its words, ``crash`` what rattler died of, when it died."""

    def __init__(self, answers: Callable[[str, Any], None]) -> None:
        self._answers = answers
        self._panicked = False
        self.error: tuple[str, str] | None = None
        self.crash = ""

    def line(self, line: str) -> bool:
        """Takes a line; True when it is no answer and belongs into the log."""
        if self._panicked:
            self.crash, self._panicked = line, False
        self._panicked = " panicked at " in line and not self.crash
        if not line.startswith(_MARK):
            return True
        try:
            ((kind, value),) = json.loads(line)["conda"].items()
        except (ValueError, AttributeError):
            return True
        if kind == "error":
            self.error = (str(value["kind"]), str(value["text"]))
        else:
            self._answers(kind, value)
        return False
