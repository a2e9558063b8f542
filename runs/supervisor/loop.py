"""Rounds at their own pace, by one supervisor at a time; others stand by."""

import fcntl
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from django.conf import settings
from django.db import close_old_connections

from runs.pipeline import watch_runs
from runs.supervisor.room import make_room
from runs.supervisor.rounds import announce_server, compact_points, enqueue_builds, enqueue_due, sweep_uploads

logger = logging.getLogger(__name__)

BEAT_S = 0.25


@dataclass(slots=True)
class Round:
    """Something done every ``every_s`` seconds. What it raises is logged, and the next round comes all the same."""

    name: str
    every_s: float
    act: Callable[[], object]
    due_at: float = field(default=0.0)

    def take(self) -> None:
        self.due_at = time.monotonic() + self.every_s
        try:
            self.act()
        except Exception:
            logger.exception("The supervisor's round %s failed", self.name)


def supervise_forever(should_stop: Callable[[], bool]) -> None:
    """Runs until ``should_stop`` says so. Of several supervisors on one data folder one works, the others wait."""
    handle = os.open(settings.DATA_DIR / "tmp" / "supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not should_stop() and not _try_lock(handle):
            time.sleep(BEAT_S)
        _work(should_stop)
    finally:
        os.close(handle)


def _work(should_stop: Callable[[], bool]) -> None:
    rounds = [
        Round("announce", 60.0, announce_server),
        Round("due", 1.0, enqueue_due),
        Round("watch", 2.0, watch_runs),
        Round("points", 5.0, compact_points),
        Round("builds", 60.0, enqueue_builds),
        Round("room", 15.0, make_room),
        Round("uploads", 3600.0, sweep_uploads),
    ]
    while not should_stop():
        for each in rounds:
            if time.monotonic() >= each.due_at and not should_stop():
                close_old_connections()
                each.take()
        time.sleep(BEAT_S)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
