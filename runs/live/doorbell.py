"""The doorbell: tells the sockets that something grew. It carries nothing; they read the store from their cursors.

A ring may come from any thread of any process. Each process has one thread with one event loop for it, so that the
number of connections to Redis does not grow with the rings. A group is rung at most 20 times a second; what is rung
in between rings once more at the end of the pause. A ring that fails is forgotten: the sockets look every few seconds
anyway.
"""

import asyncio
import logging
import os
import threading
import time
from functools import partial
from hashlib import sha256

from channels.layers import get_channel_layer
from django.db import connection, transaction

logger = logging.getLogger(__name__)

#: At most so many rings a second and group.
RINGS_A_SECOND = 20
_SEND_TIMEOUT_S = 2.0
_COMPLAIN_EVERY_S = 60.0
_REMEMBERED_GROUPS = 1000


def ring(run_id: int) -> None:
    """Tells whoever watches the run to look at the store; inside a transaction, once it is committed. Never raises."""
    _ring(run_group(run_id), "doorbell")


def ring_environment(environment_id: int) -> None:
    """Tells whoever watches a run of this environment. Never raises."""
    _ring(environment_group(environment_id), "doorbell")


def ring_session(session_key: str) -> None:
    """Tells the sockets of a session that it was signed out. Never raises."""
    _ring(session_group(session_key), "signed_out")


def settle(*, timeout_s: float = 1.0) -> bool:
    """Waits until every ring so far is sent, for a process that is about to end; False when time ran out."""
    return _bell().settle(timeout_s)


def run_group(run_id: int) -> str:
    return f"run.{int(run_id)}"


def environment_group(environment_id: int) -> str:
    return f"environment.{int(environment_id)}"


def session_group(session_key: str) -> str:
    """The group of one session's sockets; the key itself is a secret and stays out of Redis."""
    return f"session.{sha256(session_key.encode()).hexdigest()[:32]}"


class Bell:
    """The rings of one process. Its thread starts with the first of them."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[str] = set()
        self._sending = 0
        self._rung_at: dict[str, float] = {}
        self._complained_at = -_COMPLAIN_EVERY_S

    def ring(self, group: str, kind: str) -> None:
        """Rings soon: now, or at the end of the group's pause. A ring that is waiting already stands for this one."""
        with self._lock:
            if group in self._waiting:
                return
            self._waiting.add(group)
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="doorbell", daemon=True).start()
        self._loop.call_soon_threadsafe(self._plan, group, kind)

    def settle(self, timeout_s: float) -> bool:
        with self._idle:
            return self._idle.wait_for(lambda: not self._waiting and not self._sending, timeout_s)

    def _plan(self, group: str, kind: str) -> None:
        assert self._loop is not None
        due = max(self._loop.time(), self._rung_at.get(group, 0.0) + 1 / RINGS_A_SECOND)
        self._loop.call_at(due, self._fire, group, kind)

    def _fire(self, group: str, kind: str) -> None:
        assert self._loop is not None
        now = self._loop.time()
        if len(self._rung_at) >= _REMEMBERED_GROUPS:
            self._rung_at = {name: at for name, at in self._rung_at.items() if at > now - 1}
        self._rung_at[group] = now
        with self._lock:
            # From here on a new ring waits for the next turn, so the last one is never lost.
            self._waiting.discard(group)
            self._sending += 1
        task = self._loop.create_task(self._send(group, kind))
        task.add_done_callback(self._sent)

    async def _send(self, group: str, kind: str) -> None:
        layer = get_channel_layer()
        await asyncio.wait_for(layer.group_send(group, {"type": kind}), _SEND_TIMEOUT_S)

    def _sent(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and time.monotonic() - self._complained_at >= _COMPLAIN_EVERY_S:
            self._complained_at = time.monotonic()
            logger.warning("The doorbell does not reach Redis; pages follow every few seconds only: %r", error)
        with self._idle:
            self._sending -= 1
            self._idle.notify_all()


_current: Bell | None = None
_current_lock = threading.Lock()


def _bell() -> Bell:
    """This process's bell. A fork copies the object but not its thread, so a child makes one of its own."""
    global _current
    bell = _current
    if bell is None or bell.pid != os.getpid():
        with _current_lock:
            if _current is None or _current.pid != os.getpid():
                _current = Bell()
            bell = _current
    return bell


def _forget() -> None:
    """After a fork, in the child: the lock may have been held by a thread that does not exist here."""
    global _current, _current_lock
    _current, _current_lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)


def _ring(group: str, kind: str) -> None:
    try:
        if connection.in_atomic_block:
            transaction.on_commit(partial(_bell().ring, group, kind), robust=True)
        else:
            _bell().ring(group, kind)
    except Exception:
        logger.exception("A ring failed", extra={"action": "ring", "group": group})
