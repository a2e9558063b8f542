"""One process at a time for each run, whoever works on it."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from django.conf import settings

LOCK_FILES = 256
_BEAT_S = 0.02


@contextlib.contextmanager
def run_alone(run_id: int, *, patience_s: float) -> Iterator[bool]:
    """True while this process alone works on the run; False when another would not let go within ``patience_s``.

    A file lock, so that the death of its holder frees it; a fixed number of files serve all runs.
    """
    folder = settings.DATA_DIR / "tmp" / "locks"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder / f"run-{run_id % LOCK_FILES}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield _lock(handle, patience_s)
    finally:
        os.close(handle)


def _lock(handle: int, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_BEAT_S)
        else:
            return True
