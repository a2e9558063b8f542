"""The task as its folder describes it."""

import os

from trainhouse.harness.files import json_read
from trainhouse.harness.mpirun import mpirun_command

_GPU_PROBE = os.fsencode(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "gpu_probe.py"))
STREAMS = ("output", "points", "samples", "harness")


class Cluster:
    """Who has to meet before the script starts, and how this task is reached. Raises ValueError, in a sentence."""

    def __init__(self, document):
        self.members = list(document["members"])
        self.member = document["member"]
        self.address = document["address"]
        first, last = self.ports = tuple(document["ports"])
        if not 0 < first <= last < 65536:
            raise ValueError("The ports in task.json are {} to {}; ports are 1 to 65535.".format(first, last))
        if self.member not in self.members:
            raise ValueError("task.json names {!r}, which is none of its cluster's members.".format(self.member))
        self.listens = bool(document["listens"])
        self.tf_config = bool(document["tf_config"])


class Task:
    """``task.json`` and the paths around it. Attributes are never changed after reading."""

    def __init__(self, folder, document):
        self.folder = folder
        self.key = document["task"]
        self.argv = [_exact(argument) for argument in document["argv"]]
        self.environ = {_exact(name): _exact(value) for name, value in document["environ"].items()}
        self.grace_s = float(document.get("grace_s", 15))
        self.log_limit_bytes = int(document.get("log_limit_bytes") or 0)
        self.gpu_probe = bool(document.get("gpu_probe"))
        self.gpu_indexes = [int(index) for index in document.get("gpu_indexes") or ()]
        self.cluster = Cluster(document["cluster"]) if document.get("cluster") else None
        self.ranks = list(document.get("ranks") or ())
        self.is_rank = bool(document.get("is_rank"))

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def spool(self, stream):
        return os.path.join(self.folder, "spool", stream)

    @property
    def command(self):
        """What is started: the script's own command, behind the look for a GPU where the task asks for one; mpirun for
        a launcher, whose ranks run the script."""
        if self.ranks:
            return mpirun_command(self)
        return [self.argv[0], _GPU_PROBE, *self.argv] if self.gpu_probe else self.argv

    @property
    def marker(self):
        """What the environment of every process of this task holds and no other's does; empty when there is no such
        variable."""
        points = self.environ.get(b"TRAINHOUSE_POINTS")
        return b"TRAINHOUSE_POINTS=" + points if points else b""


def task_read(folder):
    """The task in ``folder``. Raises ValueError, in a sentence, when it cannot be understood."""
    document = json_read(os.path.join(folder, "task.json"))
    if not isinstance(document, dict):
        raise ValueError("There is no readable task.json in {}.".format(folder))
    if document.get("schema") != 1:
        raise ValueError(
            "task.json in {} has schema {!r}; this harness understands schema 1.".format(folder, document.get("schema"))
        )
    try:
        return Task(folder, document)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("task.json in {} is not complete: {!r}.".format(folder, error)) from error


def _exact(text):
    """The bytes meant by a JSON string: UTF-8, and bytes that are none as Python escapes them."""
    return text.encode("utf-8", "surrogateescape")
