"""A server that takes frames, and task folders for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sdk.ingest_server import IngestServer
from tests.sdk.task_folder import TaskFolder


@pytest.fixture
def server() -> Iterator[IngestServer]:
    with IngestServer() as server:
        yield server
        assert server.problems == []


@pytest.fixture
def make_task(tmp_path: Path, server: IngestServer) -> Iterator[Callable[..., TaskFolder]]:
    """``make_task(script, **fields of task.json)``; whatever is left of the tasks is killed after the test."""
    made: list[TaskFolder] = []

    def make(script: str = "", **fields) -> TaskFolder:
        fields.setdefault("server_url", server.url)
        made.append(TaskFolder(tmp_path / f"task-{len(made)}", script=script, **fields))
        return made[-1]

    yield make
    for task in made:
        task.clear()
