"""A rank of MPI: what ``mpirun`` starts in place of the script, once for each rank.

The rank's own harness waits in the task's folder. This process hands it what mpirun gave it, stays until the script
has ended, and ends as the script did, so that mpirun sees the rank's end and nothing else. It holds ``rank.lock``: when
mpirun ends it, the harness knows and ends the script.
"""

import os
import resource
import signal
import sys
import time

from trainhouse.harness.files import json_read, json_write, text_write
from trainhouse.harness.locks import lock_held, lock_take

#: What mpirun and the libraries below it tell a rank; everything else of its environment is the task's own.
PREFIXES = ("OMPI_", "PMIX_", "OPAL_", "ORTE_", "PRTE_")

_TICK_S = 0.05
_LOST_AFTER_S = 10.0
_FAILED = 70


def rank_main(launcher):
    """Runs the rank that mpirun's variables name, of the launcher whose folder is given, and ends with its script's
    exit code or signal; 70 when there is no such rank, or another process is it."""
    number = os.environ.get("OMPI_COMM_WORLD_RANK", "")
    folders = (json_read(os.path.join(launcher, "task.json")) or {}).get("ranks") or []
    if not number.isdigit() or int(number) >= len(folders):
        sys.stderr.write("There is no rank {!r} among the {} of {}.\n".format(number, len(folders), launcher))
        return _FAILED
    folder = folders[int(number)]
    lock = lock_take(os.path.join(folder, "rank.lock"))
    if lock is None or os.path.exists(os.path.join(folder, "rank.json")):
        sys.stderr.write("Rank {} was started before.\n".format(number))
        return _FAILED
    for end in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(end, lambda *_: _stop(folder))
    told = {name: value for name, value in os.environ.items() if name.startswith(PREFIXES)}
    json_write(os.path.join(folder, "rank.json"), {"environ": told})
    return _end_as(_exit_awaited(folder))


def _stop(folder):
    path = os.path.join(folder, "stop")
    if not os.path.exists(path):
        task = json_read(os.path.join(folder, "task.json")) or {}
        text_write(path, "{}\n".format(task.get("grace_s", 15)))


def _exit_awaited(folder):
    """The script's exit; SIGKILL as its signal when neither harness nor guard is there to write one."""
    alone_since = None
    while True:
        record = json_read(os.path.join(folder, "exit.json"))
        if record is not None:
            return record
        if any(lock_held(os.path.join(folder, name)) for name in ("lock", "guard.lock")):
            alone_since = None
        elif alone_since is None:
            alone_since = time.monotonic()
        elif time.monotonic() - alone_since > _LOST_AFTER_S:
            return {"code": None, "signal": int(signal.SIGKILL)}
        time.sleep(_TICK_S)


def _end_as(record):
    number = record.get("signal")
    if not number:
        return record.get("code") or 0
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number
