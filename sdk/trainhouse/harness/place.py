"""The guard's part in the meeting of an attempt's tasks, before any script starts: a port, kept, and the waiting.

Guard and harness share two files. The guard writes ``meeting.json``: where this task is reached. The harness tells the
server, and writes ``cluster.json`` once it is told where all are. The guard waits for that. So the port outlives the
harness, and a new harness goes on where the last one was.
"""

import os
import signal
import time

from trainhouse.harness.files import json_read, json_write
from trainhouse.harness.not_started import CannotStart, NotStarted
from trainhouse.harness.ports import port_of, port_reserve, port_share, stranger_listens
from trainhouse.harness.tf_config import address_text, tf_config

_LOOK_EVERY_S = 0.05
_LOOK_TWICE_AFTER_S = 0.2
_MOST_NAMED = 16
#: A script that could not listen has ended by then; one that has worked longer failed for another reason.
_COULD_NOT_LISTEN_S = 600.0


class Place:
    """Where one task of a cluster is reached. Its port is kept while the object lives."""

    def __init__(self, task, words):
        self._task = task
        self._cluster = task.cluster
        self._words = words
        self._reserved = None

    def meet(self):
        """Waits until all have met and returns the script's environment. Raises NotStarted."""
        met = json_read(self._task.path("cluster.json")) or self._join()
        port = {one["member"]: one["port"] for one in met}[self._cluster.member]
        if port != self._port:
            self._reserve_again(port)
        if self._reserved:
            port_share(self._reserved)
        self._words.say("All have met: {}.".format(_sentence(met)))
        environ = {**self._task.environ, b"no_grpc_proxy": _without_proxy(self._task.environ, met)}
        if not self._cluster.tf_config:
            return environ
        if b"TF_CONFIG" in self._task.environ:
            self._words.say("TF_CONFIG is among the run's own variables; that of this cluster takes its place.")
        return {**environ, b"TF_CONFIG": tf_config(met, self._cluster.member).encode("ascii")}

    def trouble(self, code, lasted_s):
        """What the exit says of the port: nothing, unless a stranger listens there when the script has ended with
        ``code`` (None: by a signal)."""
        if self._reserved is None or code == 0 or lasted_s > _COULD_NOT_LISTEN_S:
            return {}
        for wait_s in (0.0, _LOOK_TWICE_AFTER_S):  # what the script left may just be ending
            time.sleep(wait_s)
            if not stranger_listens(self._port, os.getpid()):
                return {}
        why = "Another program listens on port {}, which was kept for {}.".format(self._port, self._cluster.member)
        self._words.say(why)
        return {"port_taken": True, "why": why}

    @property
    def _port(self):
        return port_of(self._reserved) if self._reserved else None

    def _join(self):
        """Says where this task is and waits for the others."""
        if self._cluster.listens:
            self._reserve()
        json_write(self._task.path("meeting.json"), {"address": self._cluster.address, "port": self._port})
        where = " This one is at {}.".format(address_text(self._cluster.address, self._port)) if self._reserved else ""
        self._words.say("Waiting until all {} tasks have met.{}".format(len(self._cluster.members), where))
        while True:
            if os.path.exists(self._task.path("stop")):
                raise NotStarted(
                    "Asked to stop before all had met: the script is not started.",
                    code=None,
                    signal=int(signal.SIGTERM),
                )
            met = json_read(self._task.path("cluster.json"))
            if met is not None:
                return met
            time.sleep(_LOOK_EVERY_S)

    def _reserve(self):
        """Any free port; that of a guard before this one, if there was one."""
        before = json_read(self._task.path("meeting.json")) or {}
        try:
            self._reserved = port_reserve(self._cluster.ports, before.get("port"))
        except OSError as error:
            why = (
                "None of the ports {} to {} is free for {} ({}), so its script is not started. End what holds them, or "
                "have an administrator widen the range.".format(
                    *self._cluster.ports, self._cluster.member, error.strerror
                )
            )
            raise CannotStart(why) from error

    def _reserve_again(self, port):
        """What the others were told counts: by a guard before this one, or of a meeting that came late."""
        if self._reserved:
            self._reserved.close()
        try:
            self._reserved = port_reserve((port, port))
        except OSError as error:
            why = "The port of {}, {}, is told to all and not free any more ({}); its script is not started.".format(
                self._cluster.member, port, error.strerror
            )
            raise CannotStart(why, port_taken=True) from error


def _without_proxy(environ, met):
    """What gRPC reaches without a proxy: all that have met, and what the task's own variables except.

    gRPC asks the proxy of http_proxy for every address, loopback included, and asks this variable before no_proxy
    (grpc, doc/environment_variables.md).
    """
    excepted = environ.get(b"no_grpc_proxy", environ.get(b"no_proxy", b""))
    own = dict.fromkeys(one["address"].encode("ascii") for one in met)
    return b",".join([*filter(None, [excepted]), *own])


def _sentence(met):
    named = [
        "{} at {}".format(one["member"], address_text(one["address"], one["port"])) if one["port"] else one["member"]
        for one in met[:_MOST_NAMED]
    ]
    more = len(met) - len(named)
    return ", ".join(named) + (" and {} more".format(more) if more else "")
