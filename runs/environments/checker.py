"""Checks of packages in the background of the web process: one at a time, the newest wish of each person.

They are for the form alone and no run waits for one, so they use neither queue nor worker nor database: a thread that
lives as long as there is something to check, and a memory of what it found. A restart forgets both, and the form asks
again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable

from runs.environments.foresight import Finding, Outcome

logger = logging.getLogger(__name__)

#: How long an answer holds: the index changes, and what is wrong with it is mended.
KEPT_S = {Outcome.FOUND: 600.0, Outcome.IMPOSSIBLE: 120.0, Outcome.UNCHECKED: 30.0}
MOST_KEPT = 200
#: So many checks a person may have begun within a minute; further ones wait.
MOST_A_MINUTE = 20
#: So often a person may ask within a minute, whatever comes of it: each time Pythons and channels are looked at.
MOST_ASKED_A_MINUTE = 120
MOST_WAITING = 100

_MINUTE_S = 60.0


class Checker:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: OrderedDict[str, tuple[Finding, float]] = OrderedDict()
        self._waiting: OrderedDict[int, tuple[str, Callable[[], Finding]]] = OrderedDict()
        self._begun: defaultdict[int, deque[float]] = defaultdict(deque)
        self._asked: defaultdict[int, deque[float]] = defaultdict(deque)
        self._now: str | None = None
        self._thread: threading.Thread | None = None

    def may_ask(self, person: int) -> bool:
        """Whether this person may have something looked at now; counts as having asked."""
        with self._lock:
            asked = _of_a_minute(self._asked[person])
            if len(asked) >= MOST_ASKED_A_MINUTE:
                return False
            asked.append(time.monotonic())
            return True

    def ask(self, digest: str, *, person: int, check: Callable[[], Finding]) -> Finding | None:
        """What is known of the environment ``digest``; None while ``check`` is yet to say. A new wish of a person
        takes the place of the one that still waited."""
        with self._lock:
            known = self._known(digest)
            if known is not None or digest == self._now:
                return known
            if self._is_over_limit(person):
                return Finding(
                    outcome=Outcome.UNCHECKED,
                    sentence=f"The packages were not checked: {MOST_A_MINUTE} checks a minute are made for a person.",
                )
            if person not in self._waiting and len(self._waiting) >= MOST_WAITING:
                return Finding(
                    outcome=Outcome.UNCHECKED, sentence="The packages were not checked: too many checks are waiting."
                )
            self._waiting[person] = (digest, check)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="package-checks", daemon=True)
                self._thread.start()
        return None

    def look(self, digest: str) -> tuple[bool, Finding | None]:
        """Whether a check of ``digest`` is waiting or under way, and what is known of it."""
        with self._lock:
            is_coming = digest == self._now or any(digest == wanted for wanted, _ in self._waiting.values())
            return is_coming, self._known(digest)

    def _known(self, digest: str) -> Finding | None:
        finding, until = self._found.get(digest, (None, 0.0))
        return finding if time.monotonic() < until else None

    def _is_over_limit(self, person: int) -> bool:
        return len(_of_a_minute(self._begun[person])) >= MOST_A_MINUTE

    def _work(self) -> None:
        while True:
            with self._lock:
                self._now = None
                if not self._waiting:
                    self._thread = None
                    return
                person, (digest, check) = self._waiting.popitem(last=False)
                self._now = digest
                self._begun[person].append(time.monotonic())
            finding = _safely(check)
            with self._lock:
                self._found[digest] = (finding, time.monotonic() + KEPT_S[finding.outcome])
                self._found.move_to_end(digest)
                while len(self._found) > MOST_KEPT:
                    self._found.popitem(last=False)


def _of_a_minute(moments: deque[float]) -> deque[float]:
    """``moments`` without those that are longer ago."""
    while moments and time.monotonic() - moments[0] > _MINUTE_S:
        moments.popleft()
    return moments


def _safely(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception:
        logger.exception("A check of packages failed", extra={"action": "package_check"})
        return Finding(
            outcome=Outcome.UNCHECKED,
            sentence="The packages were not checked: the check itself failed. The server's log has it.",
        )
