"""What a harness does first: find out whether a script is to be started, watched, or only its spool brought home."""

import os
import signal
import sys
import time

from trainhouse.harness.files import json_write
from trainhouse.harness.guard import guard_fork
from trainhouse.harness.kernel import adopt_orphans
from trainhouse.harness.locks import lock_take
from trainhouse.harness.task import task_read
from trainhouse.harness.words import Words

_USAGE = 64
_FAILED = 70


def main(arguments):
    """Runs the harness of the task folder in ``arguments`` and returns the exit code: 0 when the task is over and
    shipped, or when another harness has it; 64 for a folder that cannot be understood; 70 when the harness failed.

    ``rank`` and the folder of a launcher: what ``mpirun`` starts, see ``rank``."""
    if len(arguments) == 2 and arguments[0] == "rank":
        from trainhouse.harness.rank import rank_main

        return rank_main(arguments[1])
    if len(arguments) != 1:
        sys.stderr.write("Usage: python -I -S .../trainhouse/harness TASK_FOLDER\n")
        return _USAGE
    try:
        task = task_read(os.path.abspath(arguments[0]))
    except (ValueError, OSError) as error:
        sys.stderr.write("{}\n".format(error))
        return _USAGE
    lock = lock_take(task.path("lock"))
    if lock is None or os.path.exists(task.path("done")):
        return 0
    words = Words(task.spool("harness"))
    try:
        _own_session()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        adopt_orphans()
        _script_ensure(task, lock, words)
        # Imported only now: the script is already starting while the HTTP client is loaded.
        from trainhouse.harness.watch import watch

        return watch(task, words)
    except BaseException:
        words.say_failure("The harness failed; the script is not touched by this.")
        return _FAILED


def _script_ensure(task, harness_lock, words):
    """Starts the script unless that was done before.

    Who takes ``guard.lock`` knows that no guard lives; the marks the guard has written tell how far it came.
    """
    guard_lock = lock_take(task.path("guard.lock"))
    if guard_lock is None:
        does = (
            "waits for the others"
            if (task.cluster or task.is_rank) and not os.path.exists(task.path("started"))
            else "runs"
        )
        words.say("Watching again: the script {}, its former harness does not.".format(does))
        return
    if not (os.path.exists(task.path("exit.json")) or os.path.exists(task.path("started"))):
        if not os.path.exists(task.path("stop")):
            guard_fork(task, guard_lock, harness_lock)
            return
        words.say("Asked to stop before the script was started: it is not started.")
        now = time.time()
        json_write(task.path("exit.json"), {"code": None, "signal": int(signal.SIGTERM), "ended_at": now})
    os.close(guard_lock)


def _own_session():
    try:
        os.setsid()
    except PermissionError:
        pass  # it leads one already
