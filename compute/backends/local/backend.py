"""The local target: every task a process tree on the server's own machine, with a folder of its own."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from django.conf import settings

from compute.backends.base import Ability
from compute.backends.local import handling, outputs, watching
from compute.backends.local.apart import apart_ensure, apart_identity
from compute.backends.local.builds import LocalBuildCommand, tree_seal, tree_unseal_and_remove
from compute.backends.local.caches import cache_group, cache_groups
from compute.backends.local.environ import SYSTEM_PATH, harness_environ, without_secrets
from compute.backends.local.facts import local_facts
from compute.backends.local.folders import Folders
from compute.backends.local.identities import Identities, Identity, barred_folder, gpu_groups
from compute.backends.local.laying import alone, ids_in_use, task_lay
from compute.backends.local.layout import LocalConfig, nodes_of
from compute.backends.local.ports import ports_parse
from compute.backends.local.processes import Process, process_detach, processes_kill
from compute.backends.local.removal import tree_remove
from compute.backends.local.shared_memory import shared_memory_remove
from compute.backends.local.tools import tools_ensure
from compute.errors import LaunchRefused
from compute.plan import Handle, LaunchPlan, Liveness, OutputFile, SpoolFile, TaskPlan, TaskStatus

#: The streams of a task that reach the server (docs/architecture.md, "The wire").
STREAMS = ("output", "points", "samples", "harness")
HARNESS_LOG = "spool/harness.err"
_START_DEADLINE_S = 10.0
_START_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalBackend:
    """The backend of targets of kind ``local``. Keeps nothing: everything is found again in the data folder."""

    folders: Folders
    identities: Identities
    wheelhouse: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    abilities: frozenset[Ability] = frozenset(
        {
            *(Ability.GPU, Ability.CONDA, Ability.NAMED_ENVIRONMENTS),
            *(Ability.MPI, Ability.PARAMETER_SERVER, Ability.MULTI_WORKER),
        }
    )

    @classmethod
    def from_settings(cls, config: Mapping[str, Any] | None = None) -> LocalBackend:
        """The backend of this installation for a target with this configuration."""
        return cls(
            folders=Folders(data=Path(settings.DATA_DIR)),
            identities=Identities.parse(settings.ENV.run_user_ids),
            wheelhouse=settings.ENV.wheelhouse,
            config=config or {},
        )

    # ---- the machine

    def probe(self) -> list[dict[str, Any]]:
        return nodes_of(
            local_facts(),
            LocalConfig.parse(self.config),
            cpu_slots=settings.ENV.local_cpu_slots,
            ports=ports_parse(settings.ENV.local_ports),
        )

    # ---- environments

    def environment_root(self) -> Path:
        self.folders.ensure(self.identities)
        return self.folders.environments

    def build_command(self, argv: list[str], *, environ: dict[str, str], apart: str = "") -> LocalBuildCommand:
        self.folders.ensure(self.identities)
        identity, place = self.identities.build, self.folders.build
        if apart:
            identity = apart_identity(apart, folders=self.folders, identities=self.identities)
            place = self.folders.apart_place(apart)
        return LocalBuildCommand(
            argv=tuple(argv),
            environ=environ,
            folders=self.folders,
            identity=identity,
            wheelhouse=self.wheelhouse,
            place=place,
            index_for=self.identities.build,
        )

    def build_apart(self, name: str) -> Path:
        self.folders.ensure(self.identities)
        with alone(self.folders):
            in_use = ids_in_use(self.folders, self.identities) | cache_groups(self.folders)
            return apart_ensure(name, folders=self.folders, identities=self.identities, in_use=in_use)

    def build_apart_remove(self, name: str) -> None:
        tree_remove(self.folders.apart_place(name))

    def seal(self, path: Path) -> None:
        tree_seal(path, folders=self.folders, identity=self.identities.build)

    def unseal_and_remove(self, path: Path) -> None:
        tree_unseal_and_remove(path, folders=self.folders, identity=self.identities.build)

    # ---- tasks

    def render(self, plan: LaunchPlan) -> dict[str, Any]:
        return {
            "kind": "local",
            "key": plan.key,
            "tasks": [
                {
                    "key": task.key,
                    "role": task.role,
                    "index": task.index,
                    "node": task.node,
                    "argv": list(task.argv),
                    "environ": without_secrets(task.environ),
                    "environment": task.environment.digest if task.environment else None,
                    "folder": str(self.folders.task(task.key)),
                    "files": len(task.snapshot),
                    "gpu_indexes": list(task.gpu_indexes),
                    "grace_s": task.grace_s,
                    "log_limit_bytes": task.log_limit_bytes,
                    "keras_metrics": task.keras_metrics,
                    "gpu_probe": task.gpu_probe,
                    "cluster": asdict(task.cluster) if task.cluster else None,
                    "ranks": list(task.ranks),
                    "server": task.server_url,
                    "labels": task.labels,
                }
                for task in plan.tasks
            ],
        }

    def launch(self, plan: LaunchPlan) -> list[Handle]:
        self.folders.ensure(self.identities)
        tools = tools_ensure(self.folders.tools)
        beside = [task.key for task in plan.tasks] if plan.share_user else []
        # mpirun looks for the folders of its ranks at once, and a large snapshot takes a while: so they come first.
        ordered = sorted(plan.tasks, key=lambda task: bool(task.ranks))
        return [self._task_launch(task, tools, beside) for task in ordered]

    def observe(self, handles: Iterable[Handle]) -> dict[str, TaskStatus]:
        return {handle.key: watching.task_observe(self.folders.task(handle.key)) for handle in handles}

    def stop(self, handle: Handle, *, grace_s: float) -> None:
        folder = self.folders.task(handle.key)
        self._write(folder, "stop", f"{grace_s:g}\n")
        if watching.task_observe(folder).liveness is Liveness.UNWATCHED:
            self._harness_start(handle)  # somebody has to act on the wish

    def kill(self, handle: Handle) -> int:
        return processes_kill(handle.key, self._identity(handle))

    def announce(self, handle: Handle, server_url: str) -> None:
        self._write(self.folders.task(handle.key), "server", server_url + "\n")

    def cleanup(self, handle: Handle) -> None:
        identity = self._identity(handle)
        processes_kill(handle.key, identity)
        shared_memory_remove(identity)
        tree_remove(self.folders.half_laid(handle.key))
        tree_remove(self.folders.task(handle.key))

    # ---- what a task leaves

    def collect(self, handle: Handle) -> list[SpoolFile]:
        folder = self.folders.task(handle.key)
        found: list[SpoolFile] = []
        for stream in STREAMS:
            try:
                descriptor = self._spool_open(handle, stream)
            except FileNotFoundError:
                continue
            size = os.fstat(descriptor).st_size
            os.close(descriptor)
            found.append(SpoolFile(stream=stream, path=folder / "spool" / stream, size_bytes=size))
        return found

    def read_spool(self, handle: Handle, stream: str, *, offset: int, size: int) -> bytes:
        try:
            descriptor = self._spool_open(handle, stream)
        except FileNotFoundError:
            return b""
        try:
            return os.pread(descriptor, size, offset)
        finally:
            os.close(descriptor)

    def outputs(self, handle: Handle) -> Iterator[OutputFile]:
        return outputs.outputs_list(self.folders.task(handle.key))

    def open_output(self, handle: Handle, path: str) -> int:
        return outputs.output_open(self.folders.task(handle.key), path)

    def keep_output(self, handle: Handle, path: str, destination: Path) -> int:
        """Called when the task's processes have ended: one that still had the file open could go on changing it."""
        return outputs.output_keep(self.folders.task(handle.key), path, destination)

    # ---- inside

    def _task_launch(self, plan: TaskPlan, tools: Path, beside: list[str]) -> Handle:
        python = plan.environment.python if plan.environment else shutil.which("python3", path=SYSTEM_PATH)
        if python is None:
            raise LaunchRefused(f"There is no python3 in {SYSTEM_PATH}, and this run has no environment of its own.")
        folder = task_lay(plan, folders=self.folders, identities=self.identities, tools=tools, beside=beside)
        handle = Handle(
            key=plan.key,
            node=plan.node,
            native={
                "python": str(python),
                "tools": str(tools),
                "gpus": bool(plan.gpu_indexes),
                "cache": plan.cache_key,
            },
        )
        before = watching.task_observe(folder).liveness
        if before is Liveness.ALIVE or before is Liveness.EXITED:
            return handle
        barred = barred_folder(folder / "work", self._identity(handle))
        if barred is not None:
            raise LaunchRefused(
                f"The task's user may not enter {barred}, and the data folder lies below. Set TRAINHOUSE_DATA_DIR to a "
                "folder that everybody may pass through, such as /var/lib/trainhouse."
            )
        for _ in range(_START_TRIES):
            if self._is_taken_up(folder, self._harness_start(handle)):
                return handle
        if before is Liveness.DIED:
            return handle  # its harness has come, said so, and gone
        raise LaunchRefused(f"The harness of {plan.key} ended at once: {self._harness_words(folder)}")

    def _harness_start(self, handle: Handle) -> Process:
        folder = self.folders.task(handle.key)
        program = Path(handle.native["tools"]) / "trainhouse" / "harness"
        try:
            return process_detach(
                [handle.native["python"], "-I", "-S", str(program), str(folder)],
                environ=harness_environ(handle.key, folder=folder),
                folder=folder,
                log=HARNESS_LOG,
                identity=self._identity(handle),
            )
        except OSError as error:
            raise LaunchRefused(f"The harness of {handle.key} does not start: {error}") from error

    def _is_taken_up(self, folder: Path, harness: Process) -> bool:
        """Waits until the harness holds its lock or the task is over; False when the harness ended before either.

        Ended at once it may also have met the very moment at which somebody asked about the lock: worth another try.
        """
        deadline = time.monotonic() + _START_DEADLINE_S
        while time.monotonic() < deadline:
            is_alive = harness.is_alive()
            if watching.is_watched(folder) or watching.task_observe(folder).exit is not None:
                return True
            if not is_alive:
                return False
            time.sleep(0.01)
        raise LaunchRefused(
            f"The harness did not come up within {_START_DEADLINE_S:g} s: {self._harness_words(folder)}"
        )

    def _harness_words(self, folder: Path) -> str:
        try:
            with handling.opened(folder) as inside, handling.opened_below(inside, ("spool",)) as spool:
                said = handling.file_read(spool, "harness.err", most=65536) or b""
        except FileNotFoundError:
            said = b""
        return said.decode(errors="replace").strip()[-1000:] or "it said nothing."

    def _identity(self, handle: Handle) -> Identity:
        """Whose the task is: the owner of its folder tells, which only root can change."""
        try:
            owner = self.folders.task(handle.key).stat().st_uid
        except FileNotFoundError:
            return Identity(name="trainhouse")
        identity = self.identities.task(owner)
        if identity.uid is None:
            return identity
        groups = gpu_groups() if handle.native.get("gpus") else ()
        return replace(identity, groups=(*groups, *cache_group(handle.native.get("cache", ""), folders=self.folders)))

    def _spool_open(self, handle: Handle, stream: str) -> int:
        if stream not in STREAMS:
            raise FileNotFoundError(f"A task has no stream {stream!r}; it has {', '.join(STREAMS)}.")
        with (
            handling.opened(self.folders.task(handle.key)) as inside,
            handling.opened_below(inside, ("spool",)) as spool,
        ):
            return handling.file_open(spool, stream)

    def _write(self, folder: Path, name: str, text: str) -> None:
        try:
            with handling.opened(folder) as inside:
                handling.file_replace(inside, name, text.encode(), owner=os.fstat(inside).st_uid)
        except FileNotFoundError:
            return  # an absent task is success
