"""What an installation keeps to itself: its private folders, its secret key, the names it answers to."""

import contextlib
import os
import secrets
import socket
import tempfile
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from config.env import Env, SettingError

#: Listening on every interface, as an address one can connect to.
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104

#: What is shorter can be guessed, or was cut off.
KEY_LENGTH_MIN = 32


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
    path = data_dir(env) / "secret.key"
    if not path.exists():
        with contextlib.suppress(FileExistsError):
            _write_once(path, secrets.token_urlsafe(48))
    try:
        key = path.read_text().strip()
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}. Is the data folder yours?") from error
    if len(key) < KEY_LENGTH_MIN:
        raise SettingError(f"{path} holds {len(key)} characters; a key has at least {KEY_LENGTH_MIN}. Restore it.")
    return key


def data_dir(env: Env) -> Path:
    """The data folder. Runs pass through it to their own folders, so others may enter but not list it."""
    try:
        if not env.data_dir.is_dir():
            env.data_dir.mkdir(parents=True, exist_ok=True)
            env.data_dir.chmod(0o711)
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


def local_url(env: Env) -> str:
    """Where processes of this machine reach the server, whatever the world outside calls it."""
    host = LOOPBACK.get(env.host, env.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{env.port}"


def public_url(env: Env) -> str:
    """The address that people are told, without a slash at its end."""
    return (env.public_url or local_url(env)).rstrip("/")


def allowed_hosts(env: Env) -> list[str]:
    """The configured names, or, without any, those by which this machine is usually called."""
    if env.allowed_hosts:
        return list(env.allowed_hosts)
    names = [urlsplit(public_url(env)).hostname or "", env.host, socket.gethostname()]
    return ["localhost", "127.0.0.1", "[::1]", *(f"[{name}]" if ":" in name else name for name in names)]


def _write_once(path: Path, text: str) -> None:
    """Makes ``path`` with ``text``, whole from the first moment on. Raises FileExistsError, SettingError.

    Written aside and linked into place: another process that starts now finds no file, or all of it.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(handle, "w") as file:
                file.write(text)
            os.link(name, path)
        finally:
            os.unlink(name)
    except FileExistsError:
        raise
    except OSError as error:
        raise SettingError(f"{path} cannot be written: {error.strerror}. Is the data folder yours?") from error
