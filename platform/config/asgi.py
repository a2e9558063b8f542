"""The server's entrance: frames of tasks to the ingest, sockets to the consumers, everything else to Django."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

_django = get_asgi_application()

# Models can be imported from here on.
from runs.api import ingest  # noqa: E402


async def application(scope, receive, send):
    """The ASGI application that uvicorn serves."""
    if scope["type"] == "http":
        entrance = ingest.application if scope["path"] == ingest.PATH else _django
        await entrance(scope, receive, send)
