"""The server's entrance: frames of tasks to the ingest, sockets to the consumers, everything else to Django."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

_django = get_asgi_application()

# Models can be imported from here on.
from channels.routing import URLRouter  # noqa: E402
from channels.security.websocket import WebsocketDenier  # noqa: E402
from channels.sessions import SessionMiddlewareStack  # noqa: E402
from django.conf import settings  # noqa: E402
from django.http.request import split_domain_port, validate_host  # noqa: E402
from django.urls import re_path  # noqa: E402

from config.bodies import limited  # noqa: E402
from runs import consumers  # noqa: E402
from runs.api import ingest  # noqa: E402

Scope = Any
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[Any], Awaitable[None]]

_pages = limited(_django)
_sockets = SessionMiddlewareStack(
    URLRouter([*consumers.websocket_urlpatterns, re_path(r"", consumers.UnknownSocket.as_asgi())])
)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application that uvicorn serves."""
    if scope["type"] == "http":
        entrance = ingest.application if scope["path"] == ingest.PATH else _pages
        await entrance(scope, receive, send)
    elif scope["type"] == "websocket":
        entrance = _sockets if is_own_origin(dict(scope["headers"])) else WebsocketDenier.as_asgi()
        await entrance(scope, receive, send)
    elif scope["type"] == "lifespan":
        await _lifespan(receive, send)


def is_own_origin(headers: dict[bytes, bytes]) -> bool:
    """Whether the page that opens a socket is our own.

    Cookies do not tell ports apart, so another site on this machine would be signed in: the origin has to be the very
    host and port that the request names, under a name that is ours, or one of CSRF_TRUSTED_ORIGINS.
    """
    origin = headers.get(b"origin", b"").decode("latin-1").lower()
    host = headers.get(b"host", b"").decode("latin-1").lower()
    if origin in (trusted.lower() for trusted in settings.CSRF_TRUSTED_ORIGINS):
        return True
    try:
        netloc = urlsplit(origin).netloc
    except ValueError:
        return False
    return bool(netloc) and netloc == host and validate_host(split_domain_port(host)[0], _allowed_hosts())


def _allowed_hosts() -> list[str]:
    return settings.ALLOWED_HOSTS or (["localhost", "127.0.0.1", "[::1]"] if settings.DEBUG else [])


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
