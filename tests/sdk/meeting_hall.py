"""Where the tasks of a test meet: a server for each of them, and one list of who is where."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sdk.ingest_server import IngestServer
from tests.sdk.task_folder import TaskFolder

PORTS = (23000, 23999)


def free_ports(count: int) -> range:
    """So many neighbouring ports that nobody has, of whatever else runs on this machine."""
    while True:
        first = random.randrange(24000, 32000 - count)
        with contextlib.ExitStack() as taken, contextlib.suppress(OSError):
            for port in range(first, first + count):
                taken.enter_context(socket.socket()).bind(("0.0.0.0", port))
            return range(first, first + count)


class Hall:
    """The server's part of a meeting: ``members`` in launch order, told to all when all have come."""

    def __init__(self, *members: str):
        self.members = members
        self.places: dict[str, dict] = {}
        self.servers: dict[str, IngestServer] = {}
        self.tasks: dict[str, TaskFolder] = {}
        self._lock = threading.Lock()

    @property
    def cluster(self) -> list[dict] | None:
        if len(self.places) < len(self.members):
            return None
        return [{"member": member, **self.places[member]} for member in self.members]

    def come(self, member: str, place: dict) -> list[dict] | None:
        with self._lock:
            if self.cluster is None:
                self.places[member] = place
            return self.cluster

    def port(self, member: str) -> int:
        return self.places[member]["port"]


@pytest.fixture
def make_hall(tmp_path: Path) -> Iterator[Callable[..., Hall]]:
    """``make_hall({"worker-0": {"script": ..., fields of a TaskFolder or of its cluster}, ...})``; all are cleared away
    after the test."""
    with contextlib.ExitStack() as leaving:

        def make(**told: dict) -> Hall:
            hall = Hall(*(name.replace("_", "-") for name in told))
            for member, fields in zip(hall.members, told.values(), strict=True):
                server = leaving.enter_context(IngestServer())
                server.meet = lambda place, member=member: hall.come(member, place)
                cluster = {
                    "members": list(hall.members),
                    "member": member,
                    "address": "127.0.0.1",
                    "ports": list(PORTS),
                    "listens": True,
                    "tf_config": True,
                }
                cluster |= {name: fields.pop(name) for name in list(fields) if name in cluster}
                task = TaskFolder(tmp_path / member, server_url=server.url, cluster=cluster, **fields)
                leaving.callback(task.clear)
                hall.servers[member], hall.tasks[member] = server, task
            return hall

        yield make
