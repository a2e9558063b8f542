"""The socket of a run's page: ``/ws/runs/<id>/``. The protocol is described in docs/architecture.md.

The socket joins its groups before it reads anything; then a pump waits for the doorbell or a few seconds, reads the
stores from the client's cursors in a thread of a pool of its own, and sends. One frame at a time is under way, so a
slow client slows its own pump and nothing piles up.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any, TypeVar

from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.signals import user_logged_out
from django.db import close_old_connections
from django.dispatch import receiver
from django.http import HttpRequest
from django.urls import path

from runs.live.doorbell import environment_group, ring_session, run_group, session_group
from runs.live.watcher import Round, Watcher
from runs.live.wish import Wish, parse
from runs.models import Run

logger = logging.getLogger(__name__)

SIGNED_OUT, NOT_YOURS, NO_SUCH_RUN = 4401, 4403, 4404

CHECK_EVERY_S = 30.0
PAUSE_S = 0.1
SEND_TIMEOUT_S = 60.0
_MESSAGE_CHARACTERS = 256 * 1024

_pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="live")
T = TypeVar("T")


class RunConsumer(AsyncWebsocketConsumer):
    """One browser looking at one run."""

    async def connect(self) -> None:
        self._run_id = self.scope["url_route"]["kwargs"]["pk"]
        self._session_key: str = self.scope["session"].session_key or ""
        self._rung = asyncio.Event()
        self._wish: Wish | None = None
        self._joined: set[str] = set()
        self._pumping: asyncio.Task[None] | None = None
        await self.accept()
        refusal = await _in_thread(access_refused, self._session_key, self._run_id)
        if refusal is not None:
            # Whether there is such a run is nobody's business who may not see it.
            await self.close(code=NO_SUCH_RUN if refusal == NOT_YOURS else refusal)
            return
        await self._join(run_group(self._run_id))
        await self._join(session_group(self._session_key))
        self._pumping = asyncio.create_task(self._pump())

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        wish = parse(text_data) if text_data and len(text_data) <= _MESSAGE_CHARACTERS else None
        if wish is not None:
            self._wish = wish
            self._rung.set()

    async def disconnect(self, code: int) -> None:
        if self._pumping is not None:
            self._pumping.cancel()
        for group in self._joined:
            await self.channel_layer.group_discard(group, self.channel_name)

    async def doorbell(self, event: dict[str, Any]) -> None:
        """Something of the run grew."""
        self._rung.set()

    async def signed_out(self, event: dict[str, Any]) -> None:
        """The session of this socket has ended."""
        await self._end(SIGNED_OUT)

    async def _join(self, group: str) -> None:
        if group not in self._joined:
            self._joined.add(group)
            await self.channel_layer.group_add(group, self.channel_name)

    async def _end(self, code: int) -> None:
        if self._pumping is not None and self._pumping is not asyncio.current_task():
            self._pumping.cancel()
        await self.close(code=code)

    async def _pump(self) -> None:
        try:
            await self._serve(Watcher(self._run_id))
        except asyncio.CancelledError:
            raise
        except asyncio.TimeoutError:
            await self._end(1013)
        except OSError:
            return  # the browser went away in the middle of a frame
        except Exception:
            logger.exception("A socket could not be served", extra={"run": self._run_id})
            await self._end(1011)

    async def _serve(self, watcher: Watcher) -> None:
        await self._rung.wait()
        wait_s = 0.0
        checked_at = time.monotonic()
        while True:
            await self._ring_or(wait_s)
            self._rung.clear()
            if time.monotonic() - checked_at >= CHECK_EVERY_S:
                refusal = await _in_thread(access_refused, self._session_key, self._run_id)
                if refusal is not None:
                    return await self._end(refusal)
                checked_at = time.monotonic()
            wish, self._wish = self._wish, None
            turn = await _in_thread(_read, watcher, wish)
            if turn.is_gone:
                return await self._end(NO_SUCH_RUN)
            for frame in turn.frames:
                await asyncio.wait_for(self.send(text_data=frame), SEND_TIMEOUT_S)
            wait_s = turn.wait_s
            if watcher.environment_id and environment_group(watcher.environment_id) not in self._joined:
                await self._join(environment_group(watcher.environment_id))
                wait_s = 0.0  # what came before we joined rang for others only
            await asyncio.sleep(PAUSE_S)

    async def _ring_or(self, wait_s: float) -> None:
        try:
            await asyncio.wait_for(self._rung.wait(), wait_s)
        except asyncio.TimeoutError:
            return


class UnknownSocket(AsyncWebsocketConsumer):
    """A socket at an address that means nothing."""

    async def connect(self) -> None:
        await self.accept()
        await self.close(code=NO_SUCH_RUN)


websocket_urlpatterns = [path("ws/runs/<int:pk>/", RunConsumer.as_asgi())]


def access_refused(session_key: str, run_id: int) -> int | None:
    """The close code when this session may not watch this run now; None when it may. Asks the database each time."""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key or None)
    user = get_user(request)
    if not user.is_authenticated:
        return SIGNED_OUT
    run = Run.objects.filter(pk=run_id).first()
    if run is None:
        return NO_SUCH_RUN
    return None if user.has_perm("runs.view_run", run) else NOT_YOURS


@receiver(user_logged_out, dispatch_uid="runs.consumers.close_sockets")
def close_sockets(sender: object, request: HttpRequest | None, **kwargs: object) -> None:
    """Signing out ends the sockets of the session at once."""
    session_key = getattr(getattr(request, "session", None), "session_key", None)
    if session_key:
        ring_session(session_key)


def _read(watcher: Watcher, wish: Wish | None) -> Round:
    if wish is not None:
        watcher.wish(wish)
    return watcher.read()


async def _in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Runs ``function`` in the pool of the sockets, whose threads keep their database connections."""
    return await asyncio.get_running_loop().run_in_executor(_pool, _with_connections, function, arguments)


def _with_connections(function: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    close_old_connections()
    try:
        return function(*arguments)
    finally:
        close_old_connections()
