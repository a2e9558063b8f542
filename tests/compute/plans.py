"""Plans of small scripts for the tests of backends, and waiting for what they do."""

import itertools
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compute.backends.base import ComputeBackend
from compute.backends.local.backend import LocalBackend
from compute.backends.local.folders import Folders
from compute.backends.local.identities import Identities
from compute.plan import Handle, LaunchPlan, SnapshotFile, TaskPlan, TaskStatus

#: Any Python that every user of the machine may run.
PYTHON = "/usr/bin/python3"
#: Nothing listens there: the harness keeps everything in its spool.
AWAY = "http://127.0.0.1:9"
WITHIN_S = 15.0

_numbers = itertools.count(1)


@contextmanager
def local_backend(*, separate: bool) -> Iterator[LocalBackend]:
    """A local backend with a data folder of its own, which every user may pass through."""
    data = Path(tempfile.mkdtemp(prefix="th-local-"))
    data.chmod(0o711)
    backend = LocalBackend(folders=Folders(data=data), identities=Identities.parse("210000-210900", separate=separate))
    try:
        yield backend
    finally:
        if backend.folders.tasks.is_dir():
            for folder in backend.folders.tasks.iterdir():
                if folder.is_dir():
                    backend.cleanup(Handle(key=folder.name.removeprefix(".laying-"), node="local", native={}))
        if backend.folders.environments.is_dir():
            for folder in backend.folders.environments.iterdir():
                backend.unseal_and_remove(folder)
        shutil.rmtree(data)


def script_plan(backend: LocalBackend, script: str, **changes: Any) -> LaunchPlan:
    """The plan of one task that runs ``script``, with files of its own besides where ``files`` names them."""
    number = next(_numbers)
    store = backend.folders.data / "store"
    store.mkdir(mode=0o700, exist_ok=True)
    files = {"train.py": script, **changes.pop("files", {})}
    snapshot = []
    for path, text in files.items():
        source = store / f"{number}-{len(snapshot)}"
        source.write_text(text)
        source.chmod(0o600)
        snapshot.append(
            SnapshotFile(path=path, source=source, size_bytes=len(text.encode()), executable=path == "run.sh")
        )
    fields: dict[str, Any] = {
        "key": f"run-{number}-chief-0",
        "role": "chief",
        "index": 0,
        "node": "local",
        "argv": (PYTHON, "train.py"),
        "environ": {},
        "environment": None,
        "snapshot": tuple(snapshot),
        "token": f"{number}.c0ffee",
        "server_url": AWAY,
        **changes,
    }
    return LaunchPlan(key=f"run-{number}", tasks=(TaskPlan(**fields),))


def launched(backend: LocalBackend, script: str, **changes: Any) -> Handle:
    """The handle of a task that runs ``script``."""
    return backend.launch(script_plan(backend, script, **changes))[0]


def seen(backend: ComputeBackend, handle: Handle) -> TaskStatus:
    """What the backend sees of one task."""
    return backend.observe([handle])[handle.key]


def output_of(backend: ComputeBackend, handle: Handle) -> str:
    """What the script has printed so far."""
    return backend.read_spool(handle, "output", offset=0, size=1_000_000).decode()


def finished(backend: ComputeBackend, handle: Handle) -> TaskStatus:
    """The status of the task once its script has ended."""
    wait_for(lambda: seen(backend, handle).liveness in ("exited", "died"), lambda: output_of(backend, handle))
    return seen(backend, handle)


def wait_for(condition: Callable[[], object], words: Callable[[], object] = lambda: "it did not come true") -> None:
    """Returns once ``condition`` holds, or fails with ``words``."""
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, words()
        time.sleep(0.02)


def commands_with(text: str) -> dict[int, str]:
    """The living processes whose command line holds ``text``."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in command:
            found[int(folder.name)] = command
    return found
