"""The queue for SQLite's one pen."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext

from django.db import connection

_turn = threading.Lock()


def own_turn() -> AbstractContextManager[object]:
    """Held around a write. SQLite has one writer at a time and lets the others poll: within this process they queue up
    instead. Other databases need none."""
    return _turn if connection.vendor == "sqlite" else nullcontext()
