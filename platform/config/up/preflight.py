"""What is looked at before anything is started: each obstacle is one sentence that says what to do."""

import contextlib
import errno
import fcntl
import http.client
import json
import os
import shutil
import socket
import stat
import tempfile
import time
from pathlib import Path

from config.env import Env
from config.secrets import LOOPBACK, public_url, runtime_dir
from config.up import redis_server
from config.up.errors import StartRefused

DISK_FREE_MIN_MB = 200

#: How long the remains of an earlier start may take to let go of the port and of Redis.
HANDOVER_S = 5.0


def check(env: Env) -> int:
    """Looks at the data folder and takes it. Returns the descriptor that holds it. Raises StartRefused."""
    check_writable(env.data_dir)
    check_disk(env.data_dir)
    check_reachable(env.data_dir)
    lock = take(env)
    if not env.redis_url:
        await_old_redis(env)
    return lock


def check_writable(folder: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        raise StartRefused(
            f"Nothing can be written to the data folder {folder}: {error.strerror}. "
            "Make it writable, or set TRAINHOUSE_DATA_DIR to another folder."
        ) from error


def check_disk(folder: Path) -> None:
    free_mb = shutil.disk_usage(folder).free // 1024**2
    if free_mb < DISK_FREE_MIN_MB:
        raise StartRefused(
            f"The disk of the data folder {folder} has {free_mb} MB free; {DISK_FREE_MIN_MB} MB are needed to start. "
            "Make room, or set TRAINHOUSE_DATA_DIR to a folder on another disk."
        )


def check_reachable(folder: Path) -> None:
    """As root, runs have user ids of their own and pass through the data folder to theirs."""
    if os.geteuid() != 0:
        return
    for part in (folder, *folder.parents):
        if not part.stat().st_mode & stat.S_IXOTH:
            raise StartRefused(
                f"Runs execute as users of their own and cannot reach the data folder {folder}: {part} is closed to "
                f"others. Open it (chmod o+x {part}), or set TRAINHOUSE_DATA_DIR to a folder like /var/lib/trainhouse."
            )


def take(env: Env) -> int:
    """Holds the data folder for this process until it ends. Raises StartRefused when another holds it."""
    handle = os.open(env.data_dir / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(handle, 200, 0).decode(errors="replace").strip() or "another process"
        os.close(handle)
        raise StartRefused(
            f"Trainhouse runs already on the data folder {env.data_dir}: {holder}. "
            "Stop it first, or set TRAINHOUSE_DATA_DIR to another folder."
        ) from error
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"process {os.getpid()}, {public_url(env)}\n".encode(), 0)
    return handle


def await_old_redis(env: Env) -> None:
    """A Redis whose parent was killed is about to end; two must never share one append-only file or socket.

    Raises StartRefused when it does not end in time, and when one that is none of ours answers at the socket.
    """
    deadline = time.monotonic() + HANDOVER_S
    lock, path = redis_server.lock_path(env.data_dir), redis_server.socket_path(runtime_dir(env))
    while _is_locked(lock):
        if time.monotonic() > deadline:
            raise StartRefused(
                f"The Redis of an earlier start still runs on {lock.parent} and does not end. End it and start again."
            )
        time.sleep(0.05)
    if redis_server.answers(path):
        raise StartRefused(
            f"A Redis that this start did not make answers at {path}. End it, or set TRAINHOUSE_RUNTIME_DIR to "
            "another folder."
        )


def _is_locked(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def listen(env: Env) -> socket.socket:
    """The server's listening socket; it outlives every web process. Raises StartRefused when the port is taken."""
    deadline = time.monotonic() + HANDOVER_S
    while True:
        try:
            return _bind(env)
        except OSError as error:
            # What an earlier start left behind lets go within seconds; another program never does.
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline and not _is_foreign(env):
                time.sleep(0.1)
                continue
            raise StartRefused(_bind_problem(env, error)) from error


def _bind(env: Env) -> socket.socket:
    family = socket.AF_INET6 if ":" in env.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((env.host, env.port))
        listener.listen(1024)
        return listener
    except BaseException:
        listener.close()
        raise


def _bind_problem(env: Env, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        who = "another Trainhouse" if _is_trainhouse(env) else "another program"
        return (
            f"Port {env.port} on {env.host} is taken by {who}. "
            f"Stop it, or choose another port: TRAINHOUSE_PORT={_free_port(env)}"
        )
    if error.errno == errno.EACCES:
        return f"Port {env.port} may be used by root only. Choose one above 1023, for example TRAINHOUSE_PORT=8000"
    return (
        f"The server cannot listen on {env.host}, port {env.port}: {error.strerror}. "
        "Set TRAINHOUSE_HOST to an address of this machine, or to 0.0.0.0 for all of them."
    )


def _is_foreign(env: Env) -> bool:
    """Whether a program that is no Trainhouse answers at the port."""
    try:
        socket.create_connection(_address(env), timeout=1.0).close()
    except OSError:
        return False
    return not _is_trainhouse(env)


def _is_trainhouse(env: Env) -> bool:
    client = http.client.HTTPConnection(*_address(env), timeout=1.0)
    try:
        client.request("GET", "/healthz")
        return json.loads(client.getresponse().read(1000)).get("service") == "trainhouse"
    except (OSError, http.client.HTTPException, ValueError, AttributeError):
        return False
    finally:
        client.close()


def _free_port(env: Env) -> int:
    family = socket.AF_INET6 if ":" in env.host else socket.AF_INET
    for port in (*range(env.port + 1, min(env.port + 50, 65536)), 0):
        with contextlib.suppress(OSError), socket.socket(family) as probe:
            probe.bind((env.host, port))
            return probe.getsockname()[1]
    return env.port


def _address(env: Env) -> tuple[str, int]:
    return LOOPBACK.get(env.host, env.host), env.port
