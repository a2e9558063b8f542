"""The database's configuration from one address: SQLite by default, PostgreSQL by ``DATABASE_URL``."""

import contextlib
import os
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from config.env import SettingError


def from_url(url: str, *, default_path: Path) -> dict[str, object]:
    """Django's settings for ``sqlite:///path`` or ``postgres://user:password@host/name``. Raises SettingError."""
    if not url:
        return sqlite(default_path)
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return sqlite(Path(parts.path))
    if parts.scheme in ("postgres", "postgresql"):
        if find_spec("psycopg") is None:
            raise SettingError(
                "DATABASE_URL names PostgreSQL, whose driver is not installed. "
                "Run: .venv/bin/python -m uv pip install 'psycopg[binary]'"
            )
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": unquote(parts.hostname or ""),
            "PORT": parts.port or "",
            "OPTIONS": dict(parse_qsl(parts.query)),  # sslmode and the like, in the driver's words
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
        }
    raise SettingError(
        f"DATABASE_URL begins with {parts.scheme!r}; it must be sqlite:///path or postgres://user:password@host/name."
    )


def sqlite(path: Path) -> dict[str, object]:
    """SQLite for several processes: write-ahead log, write locks taken at once and waited for."""
    _keep_private(path)
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        # Deferred transactions fail at once when they upgrade to a write lock; IMMEDIATE ones wait.
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16000;",
        },
        "CONN_MAX_AGE": None,
    }


def _keep_private(path: Path) -> None:
    """Makes the file, if need be, for its owner alone; SQLite gives its log and its index the same rights.

    Those that lie there already, made while the file was open to others, are closed too. A file that is somebody
    else's, or a folder that is not there yet, is for the first connection to complain about.
    """
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(handle, 0o600)
        finally:
            os.close(handle)
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).chmod(0o600)
