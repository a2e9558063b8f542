"""The harness's part in the meeting of an attempt's tasks: what to ask the server, when, and what to believe."""

import os
import time

from trainhouse.harness.files import json_read, json_write

_ASK_FIRST_S, _ASK_MOST_S, _ASK_PART = 0.2, 2.0, 0.1


class Meeting:
    """Open until ``cluster.json`` is there, for a task that has others to meet; see ``place``."""

    def __init__(self, task, words):
        self._cluster = task.cluster
        self._place_path = task.path("meeting.json")
        self._cluster_path = task.path("cluster.json")
        self._words = words
        self._begun_at = time.monotonic()
        self._asked_at = float("-inf")
        self._has_doubted = False
        self.is_open = task.cluster is not None and not os.path.exists(self._cluster_path)

    def is_due(self):
        """Whether to ask now: five times a second at first, less often the longer it takes, every 2 s at least."""
        if not self.is_open:
            return False
        now = time.monotonic()
        wait_s = min(_ASK_MOST_S, max(_ASK_FIRST_S, _ASK_PART * (now - self._begun_at)))
        return now - self._asked_at >= wait_s and os.path.exists(self._place_path)

    def question(self):
        """What a frame carries as ``meet``; None when there is nothing to ask, or nothing to tell yet."""
        if not self.is_open:
            return None
        self._asked_at = time.monotonic()
        return json_read(self._place_path)

    def answered(self, cluster):
        """Takes the server's answer: None while somebody is missing."""
        if cluster is None or not self.is_open:
            return
        try:
            json_write(self._cluster_path, _checked(cluster, self._cluster.members))
            self.is_open = False
        except (ValueError, OSError) as error:
            if not self._has_doubted:
                self._has_doubted = True
                self._words.say("What the server tells of the cluster is of no use here: {} Asking on.".format(error))

    def close(self):
        """The task has ended without the others."""
        self.is_open = False


def _checked(cluster, members):
    try:
        found = [{"member": one["member"], "address": one["address"], "port": one["port"]} for one in cluster]
    except (TypeError, KeyError):
        found = []
    whole = all(type(one["address"]) is str and type(one["port"]) in (int, type(None)) for one in found)
    if not whole or [one["member"] for one in found] != members:
        raise ValueError("it does not list {} with address and port.".format(", ".join(members)))
    return found
