"""Locks on files: held means alive. A pid proves nothing: it is reused, and a zombie still has one."""

import fcntl
import os
import time


def lock_take(path, patience_s=0.3):
    """Takes the exclusive lock on ``path`` and returns its file descriptor, or None when somebody else holds it.

    Whoever merely asks whether the lock is held has it for an instant (see ``lock_held``); ``patience_s`` outlasts
    that.
    The lock is free again when every copy of the descriptor is closed, however its holders die.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(0.02)


def lock_held(path):
    """True while a process holds the exclusive lock on ``path``. An absent file is held by nobody."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
