"""The harness's main loop: beside the script while it lives, then until the server has everything."""

import os
import signal
import time

from trainhouse.gpu_probe import GPU_NOT_SEEN
from trainhouse.harness.files import json_read, json_write_reserved
from trainhouse.harness.locks import lock_held
from trainhouse.harness.oom import oom_kills
from trainhouse.harness.outputs import Outputs
from trainhouse.harness.processes import descendants, processes_carrying, signal_each
from trainhouse.harness.samples import Sampler
from trainhouse.harness.ship import Shipper
from trainhouse.harness.spool import Spool
from trainhouse.harness.stop import Stop

_TICK_S = 0.2
_KILL_FOR_S = 10.0


def watch(task, words):
    """Watches the script until it and all it left have ended, ships everything, and returns the exit code 0.

    Blocks for as long as that takes; for ever while the server stays away.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD, signal.SIGTERM))
    stop = Stop(task, words)
    outputs = Outputs(task, words)
    shipper = Shipper(task, Spool(task), words, on_stop=stop.request)
    shipper.start()
    kills_before = oom_kills()
    _stay(task, stop, Sampler(task), outputs, shipper, words)
    record = json_read(task.path("exit.json"))
    if record is None:
        record = _lost(task, words, kills_before)
    words.say(_sentence(task, record))
    shipper.outputs_are(outputs.final())
    shipper.exit_is(record)
    shipper.close()
    shipper.join()
    _fail_with(shipper)
    return 0


def _stay(task, stop, sampler, outputs, shipper, words):
    """Returns when no guard lives any more."""
    known = []
    guard = None
    ended = False
    while lock_held(task.path("guard.lock")):
        if guard is None:
            guard = (json_read(task.path("started")) or {}).get("guard")
        if guard is not None:
            stop.pursue(guard)
            sampler.tick(guard)
        listing = outputs.tick()
        if listing is not None and listing != known:
            known = listing
            shipper.outputs_are(listing)
        if not ended and os.path.exists(task.path("exit.json")):
            ended = True
            shipper.exit_is(json_read(task.path("exit.json")))
        if task.is_rank and not ended and not stop.is_wanted and _is_let_go(task):
            words.say("mpirun has ended this rank: its script is ended too.")
            stop.request()
        _fail_with(shipper)
        if _nap() == signal.SIGTERM:
            stop.request()


def _is_let_go(task):
    return os.path.exists(task.path("rank.json")) and not lock_held(task.path("rank.lock"))


def _nap():
    """Waits for a tick, the end of a child or SIGTERM, whichever comes first; buries ended children. Returns the signal
    that ended it, None for a tick."""
    told = signal.sigtimedwait((signal.SIGCHLD, signal.SIGTERM), _TICK_S)
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
    return told.si_signo if told else None


def _fail_with(shipper):
    if shipper.failure:
        raise RuntimeError("Shipping failed:\n" + shipper.failure)


def _lost(task, words, kills_before):
    """The guard was killed without a word about the script: ends what remains and puts an exit on record."""
    words.say("The script's guard has been killed; what remains of the task is ended and its exit counts as lost.")
    until = time.monotonic() + _KILL_FOR_S
    while time.monotonic() < until:
        left = {process.pid for process in descendants(os.getpid())} | set(processes_carrying(task.marker))
        if not left:
            break
        signal_each(left, signal.SIGKILL)
        time.sleep(0.05)
    record = {
        "code": None,
        "signal": int(signal.SIGKILL),
        "lost": True,
        "out_of_memory": kills_before != oom_kills(),
        "max_rss_bytes": None,
        "started_at": (json_read(task.path("started")) or {}).get("started_at"),
        "ended_at": time.time(),
    }
    json_write_reserved(task.path("exit.json"), record)
    return record


def _sentence(task, record):
    if record.get("lost"):
        return "How the script ended is not known."
    if record.get("signal"):
        by = "for want of memory" if record.get("out_of_memory") else "by signal {}".format(record["signal"])
        return "The script was ended {}.".format(by)
    if task.gpu_probe and record.get("code") == GPU_NOT_SEEN:
        return "The script was not started: TensorFlow sees no GPU."
    return "The script has ended with exit code {}.".format(record.get("code"))
