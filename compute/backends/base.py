"""The seam between runs and machines.

A backend is built from a target's configuration, works synchronously and keeps nothing between calls: after a restart
of the server, a new instance finds everything again from handles and labels. Of a launch that was cut short there is
no handle: one with the key and the node alone does for everything but ``stop``. One contract test suite
(``tests/compute/test_backend_contract.py``) runs against every backend.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from compute.plan import EnvironmentRef, Handle, LaunchPlan, OutputFile, SpoolFile, TaskStatus


class Ability(str, enum.Enum):
    """What a kind of target can do beyond starting one process; the form and ``problems`` read it."""

    GPU = "gpu"
    CONDA = "conda"
    MPI = "mpi"
    PARAMETER_SERVER = "ps"
    MULTI_WORKER = "multiworker"
    CONTAINERS = "containers"
    DATA_FOLDERS = "data_folders"
    NAMED_ENVIRONMENTS = "named_environments"


class ComputeBackend(Protocol):
    """One kind of target."""

    @property
    def abilities(self) -> frozenset[Ability]:
        """What this kind of target can do."""
        ...

    def probe(self) -> list[dict[str, Any]]:
        """The facts of every node: ``{"name", "address", "cpu_cores", "cpu_slots", "memory_mb", "gpus": [{"index",
        "uuid", "model", "memory_mb"}], "ports": [first, last], "driver", ...}``. A simulated GPU has ``"simulated":
        true``; ``"formerly"`` is another name under which the node may be known. May block for seconds. Raises
        TargetUnreachable, TargetMisconfigured."""
        ...

    def environment_root(self) -> Path:
        """The folder under which environments of this target are built, at their final path."""
        ...

    def build_command(self, argv: list[str], *, environ: dict[str, str], apart: str = "") -> BuildCommand:
        """``argv`` wrapped so that it runs with a build's rights: never those of the server where it can be helped.
        ``apart`` names a place of ``build_apart``, whose user then runs it with home, temporary files and cache
        there."""
        ...

    def build_apart(self, name: str) -> Path:
        """The folder of a place of its own, whose user owns nothing that other builds use: for code that somebody
        brings. Idempotent. Raises LookupError when no user is left."""
        ...

    def build_apart_remove(self, name: str) -> None:
        """Removes such a place. Idempotent; absent is success."""
        ...

    def seal(self, path: Path) -> None:
        """Takes from every run the right to write below ``path`` (a finished environment). Idempotent."""
        ...

    def unseal_and_remove(self, path: Path) -> None:
        """Removes ``path``, an environment sealed or half built. Idempotent; absent is success."""
        ...

    def render(self, plan: LaunchPlan) -> dict[str, Any]:
        """The request as it will be made, as JSON without secrets, for the run page. Pure."""
        ...

    def launch(self, plan: LaunchPlan) -> list[Handle]:
        """Starts every task of ``plan``; tasks that were started before are left alone (idempotent by key). A task
        whose script lives without its harness gets a new harness. A task with ``ranks`` starts when these are there.
        The handles come in any order. May block for the copy of the snapshot.
        Raises LaunchRefused, TargetUnreachable."""
        ...

    def observe(self, handles: Iterable[Handle]) -> dict[str, TaskStatus]:
        """By key, what is there. Batched; never raises for an absent task: ABSENT is an answer."""
        ...

    def stop(self, handle: Handle, *, grace_s: float) -> None:
        """Asks the task to end: SIGTERM now, SIGKILL to all that is left after ``grace_s``. Returns at once.
        Idempotent; an absent task is success."""
        ...

    def kill(self, handle: Handle) -> int:
        """Ends whatever is left of the task without asking, and returns how many processes that were. Idempotent."""
        ...

    def collect(self, handle: Handle) -> list[SpoolFile]:
        """The task's spool files, to be read through ``read_spool``. Absent: an empty list."""
        ...

    def read_spool(self, handle: Handle, stream: str, *, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes of a spool from ``offset``; empty at its end or when the stream is absent."""
        ...

    def outputs(self, handle: Handle) -> Iterator[OutputFile]:
        """The regular files that the task has put out so far. Links and special files are passed over."""
        ...

    def open_output(self, handle: Handle, path: str) -> int:
        """A read-only file descriptor of one output. Raises FileNotFoundError when it is absent, a link, no regular
        file, or not the task's own."""
        ...

    def keep_output(self, handle: Handle, path: str, destination: Path) -> int:
        """Brings one output into the server's store at ``destination``, moved where that is possible so that it is
        not paid twice, and returns its size in bytes. For a task whose processes have ended (``kill`` makes sure): one
        that still had the file open could go on changing it. Raises FileNotFoundError as ``open_output`` does."""
        ...

    def announce(self, handle: Handle, server_url: str) -> None:
        """Tells a running task where the server is now. Idempotent; an absent task is success."""
        ...

    def cleanup(self, handle: Handle) -> None:
        """Removes what is left of an ended task: its folder, its token. Idempotent."""
        ...


class BuildCommand(Protocol):
    """A command prepared by ``build_command``."""

    def run(self, *, output: Callable[[bytes], None], timeout_s: float) -> int:
        """Runs it, hands every piece of its output to ``output`` as it comes, and returns its exit code (negative: the
        signal). On timeout everything it started is killed and TimeoutError raised."""
        ...


__all__ = ["Ability", "BuildCommand", "ComputeBackend", "EnvironmentRef"]
