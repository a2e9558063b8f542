"""What an installation keeps to itself: its private folders, its secret key, the names it answers to."""

import contextlib
import os
import secrets
import socket
import tempfile
from hashlib import sha256
from pathlib import Path

from config.env import Env, SettingError


def private_dir(path: Path) -> Path:
    """``path`` as a folder that only the server's user may enter; made when missing. Raises SettingError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(
            f"The folder {path} cannot be made: {error.strerror}. Set TRAINHOUSE_DATA_DIR to a folder you may write."
        ) from error
    return path


def secret_key(env: Env) -> str:
    """The installation's key: given by a setting, or made once and kept in the data folder, readable by us alone."""
    if env.secret_key:
        return env.secret_key
    data_dir(env)
    path = env.data_dir / "secret.key"
    with contextlib.suppress(FileExistsError):
        _write_once(path, secrets.token_urlsafe(48))
    return path.read_text().strip()


def data_dir(env: Env) -> Path:
    """The data folder. Runs pass through it to their own folders, so others may enter but not list it."""
    try:
        env.data_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(
            f"The data folder {env.data_dir} cannot be made: {error.strerror}. "
            "Set TRAINHOUSE_DATA_DIR to a folder you may write."
        ) from error
    return env.data_dir


def runtime_dir(env: Env) -> Path:
    """A short folder for the Redis socket: a unix socket's path may have 107 bytes and no more."""
    if env.runtime_dir:
        return Path(env.runtime_dir)
    name = f"trainhouse-{os.geteuid()}-{sha256(os.fsencode(env.data_dir)).hexdigest()[:8]}"
    return Path(tempfile.gettempdir() if len(tempfile.gettempdir()) < 60 else "/tmp") / name  # noqa: S108


def allowed_hosts(env: Env) -> list[str]:
    """The configured names, or, without any, those by which this machine is usually called."""
    if env.allowed_hosts:
        return list(env.allowed_hosts)
    return ["localhost", "127.0.0.1", "[::1]", env.host, socket.gethostname()]


def _write_once(path: Path, text: str) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise
    except OSError as error:
        raise SettingError(f"{path} cannot be written: {error.strerror}. Is the data folder yours?") from error
    with os.fdopen(handle, "w") as file:
        file.write(text)
