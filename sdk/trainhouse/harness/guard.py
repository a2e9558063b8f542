"""The guard: the script's parent. It starts it, when all it has to meet have met, waits for it, writes down how it
ended, and ends what it left behind.

It does nothing else and needs nobody: neither the harness's death nor the server's absence reaches it.
"""

import os
import signal
import time

from trainhouse.harness.files import json_reserve, json_write, json_write_reserved
from trainhouse.harness.kernel import adopt_orphans
from trainhouse.harness.mpirun import mpirun_environ
from trainhouse.harness.not_started import NotStarted
from trainhouse.harness.oom import oom_kills
from trainhouse.harness.processes import descendants, signal_each
from trainhouse.harness.words import Words

LEFTOVER_GRACE_S = 3.0
_UNKILLABLE_AFTER_S = 30.0
_CANNOT_START = 127


def guard_fork(task, guard_lock, harness_lock):
    """Forks the guard of ``task`` and returns its pid.

    ``guard_lock`` is the descriptor of the taken lock: the guard inherits it, so that there is no moment at which the
    lock is free and the script about to start. The caller's copy is closed here.
    """
    pid = os.fork()
    if pid:
        os.close(guard_lock)
        return pid
    try:
        os.close(harness_lock)
        _guard(task)
    except BaseException:
        Words(task.spool("harness")).say_failure("The guard failed.")
    finally:
        os._exit(0)


def _guard(task):
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _stdio_redirect(os.devnull)
    words = Words(task.spool("harness"))
    if not adopt_orphans():
        words.say("The kernel does not let the guard adopt orphans: children that outlive the script may stay behind.")
    json_reserve(task.path("exit.json"))
    place = None
    try:
        if task.cluster:
            # Imported only here, as below: other tasks start without what a meeting needs.
            from trainhouse.harness.place import Place

            place = Place(task, words)
            environ = place.meet()
        elif task.is_rank:
            from trainhouse.harness.turn import Turn

            environ = Turn(task).awaited()
        elif task.ranks:
            environ = mpirun_environ(task)
        else:
            environ = task.environ
    except NotStarted as instead:
        words.say(str(instead))
        json_write_reserved(task.path("exit.json"), dict(instead.record, ended_at=time.time()))
        return
    kills_before = oom_kills()
    started_at = time.time()
    # Written before the fork: a script is never started twice, even if the guard is killed right here.
    json_write(task.path("started"), {"guard": os.getpid(), "started_at": started_at})
    script = _script_fork(task, environ, words)
    code, number, max_rss_bytes = _script_wait(script) if script else (_CANNOT_START, None, None)
    out_of_memory = (number == signal.SIGKILL or code == 128 + signal.SIGKILL) and kills_before != oom_kills()
    record = {
        "code": code,
        "signal": number,
        "out_of_memory": out_of_memory,
        "max_rss_bytes": max_rss_bytes,
        "started_at": started_at,
        "ended_at": time.time(),
    }
    if place is not None:
        record.update(place.trouble(code, record["ended_at"] - started_at))
    json_write_reserved(task.path("exit.json"), record)
    _leftovers_end(words)


def _script_fork(task, environ, words):
    """The script's pid, or None when this process may not fork."""
    try:
        pid = os.fork()
    except OSError as error:
        words.say("The script could not be started: {}.".format(error.strerror))
        return None
    if pid == 0:
        try:
            _script_become(task, environ)
        except OSError as error:
            command = os.fsdecode(task.command[0]) if task.command else ""
            words.say("The command {!r} could not be started: {}.".format(command, error.strerror))
        except BaseException:
            words.say_failure("The script could not be started.")
        finally:
            os._exit(_CANNOT_START)
    return pid


def _script_become(task, environ):
    os.setsid()
    os.chdir(task.path("work"))
    _stdio_redirect(task.spool("output"))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)  # what is ignored would stay so through exec
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            try:
                os.set_inheritable(int(name), False)
            except OSError:
                continue  # the descriptor of this very listing
    os.execvpe(task.command[0], task.command, environ)


def _stdio_redirect(path):
    """Standard input from nowhere, standard output and error appended to ``path``: one open file, one order."""
    source = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    sink = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.dup2(source, 0)
    os.dup2(sink, 1)
    os.dup2(sink, 2)


def _script_wait(script):
    """Waits for the script, burying orphans on the way, and returns its exit code, signal and peak memory in bytes."""
    while True:
        pid, status, usage = os.wait4(-1, 0)
        if pid != script:
            continue
        max_rss_bytes = usage.ru_maxrss * 1024
        if os.WIFSIGNALED(status):
            return None, os.WTERMSIG(status), max_rss_bytes
        return os.WEXITSTATUS(status), None, max_rss_bytes


def _leftovers_end(words):
    """SIGTERM to everything the script has left, SIGKILL ``LEFTOVER_GRACE_S`` later, until nothing is there."""
    begun = time.monotonic()
    asked = set()
    while not _children_gone():
        waited_s = time.monotonic() - begun
        left = {process.pid for process in descendants(os.getpid())}
        if waited_s >= LEFTOVER_GRACE_S:
            signal_each(left, signal.SIGKILL)
        else:
            signal_each(left - asked, signal.SIGTERM)
        if left and not asked:
            words.say("The script has ended and left {} process(es) behind; they are being ended.".format(len(left)))
        asked |= left
        if waited_s >= _UNKILLABLE_AFTER_S:
            words.say("{} process(es) cannot be killed and stay behind.".format(len(left)))
            return
        time.sleep(0.03)


def _children_gone():
    """Buries what has ended; True when no child is left. As the adopter of orphans, no child means no descendant."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False
