"""A server that takes frames, and task folders for it."""

from __future__ import annotations

import shutil
import subprocess
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
def small_disk(tmp_path: Path, needs: Callable[[object, str], None]) -> Iterator[Path]:
    """A file system of its own with 4 MB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    needs(shutil.which("mount") and subprocess.run(mount, capture_output=True).returncode == 0, "the right to mount")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def make_task(tmp_path: Path, server: IngestServer) -> Iterator[Callable[..., TaskFolder]]:
    """``make_task(script, **fields of task.json)``; whatever is left of the tasks is killed after the test."""
    made: list[TaskFolder] = []

    def make(script: str = "", **fields) -> TaskFolder:
        fields.setdefault("server_url", server.url)
        root = fields.pop("root", tmp_path) / f"task-{len(made)}"
        made.append(TaskFolder(root, script=script, **fields))
        return made[-1]

    yield make
    for task in made:
        task.clear()
