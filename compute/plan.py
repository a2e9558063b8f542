"""The value objects that pass between runs and machines. Pure data: no database, no network."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: The exit code of a task whose TensorFlow saw no GPU before the script (sdk/trainhouse/gpu_probe.py).
GPU_NOT_SEEN_CODE = 113


class SlotKind(str, enum.Enum):
    """What a slot stands for: one GPU, or a share of a node's CPU cores."""

    GPU = "gpu"
    CPU = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRequest:
    """One task's wish: ``gpus`` GPU slots, or ``slots`` CPU slots when ``gpus`` is 0.

    A task that asks for neither (a server, a coordinator) takes no slot and goes to the node of its group.
    """

    role: str
    index: int
    gpus: int = 0
    slots: int = 1

    @property
    def key(self) -> str:
        return f"{self.role}-{self.index}"

    @property
    def cpu_slots(self) -> int:
        return 0 if self.gpus else self.slots


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRequest:
    """What a run asks for: all of it or nothing (gang)."""

    tasks: tuple[TaskRequest, ...]
    node_count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotFact:
    """One slot as the placement sees it. ``busy_with`` says who holds it, in words; None is free. ``simulated`` marks a
    GPU slot without a GPU behind it."""

    id: int
    kind: SlotKind
    index: int
    busy_with: str | None = None
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFact:
    """One node. ``closed`` says why it takes no new work (cordoned, unhealthy); None when it does. ``address`` is how
    tasks on other nodes reach it."""

    id: int
    name: str
    slots: tuple[SlotFact, ...]
    closed: str | None = None
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What a target has at this moment."""

    target: str
    nodes: tuple[NodeFact, ...]
    closed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One task's place. ``simulated``: its GPU slots have no GPU behind them, and ``gpu_indexes`` is empty."""

    task: str
    node_id: int
    node: str
    slot_ids: tuple[int, ...]
    gpu_indexes: tuple[int, ...] = ()
    simulated: bool = False
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A place for every task of a request."""

    assignments: tuple[Assignment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCapacity:
    """The request does not fit now. ``reasons`` are sentences for the person; ``never`` when it cannot ever fit."""

    reasons: tuple[str, ...]
    never: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRef:
    """A realised environment on a target: the interpreter that runs the script."""

    digest: str
    python: Path
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFile:
    """One file to lay into a task's working folder. ``source`` is the content in the server's store."""

    path: str
    source: Path
    size_bytes: int
    executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlan:
    """What a task needs to meet the others of its attempt before its script starts.

    ``members`` are all tasks that take part, as ``role-index`` in launch order, ``member`` is this one. ``address`` is
    how the others reach this task's node, ``ports`` the inclusive range that its port is chosen from. ``listens`` asks
    for a port, ``tf_config`` for the variable TF_CONFIG in the script's environment.
    """

    members: tuple[str, ...]
    member: str
    address: str
    ports: tuple[int, int]
    listens: bool
    tf_config: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPlan:
    """Everything that one task needs to start. ``key`` names it for ever: the same key is launched once.

    ``argv`` is the user's command with the environment's interpreter at its head, ``environ`` what it sees beyond the
    basics, ``token`` the task's secret for the server (``<task id>.<secret>``, never rendered), ``labels`` what an
    orphan is recognised by. ``gpu_probe`` has the script started only when TensorFlow sees a GPU; else the task exits
    with ``GPU_NOT_SEEN_CODE``. Tasks of equal ``cache_key`` share a folder for what libraries download; empty: none.
    ``cluster`` is None for a task that meets no others. ``ranks`` are the keys of the tasks that this one starts by
    ``mpirun``, in the order of their ranks; such a task (``is_rank``) waits for it.
    """

    key: str
    role: str
    index: int
    node: str
    argv: tuple[str, ...]
    environ: dict[str, str]
    environment: EnvironmentRef | None
    snapshot: tuple[SnapshotFile, ...]
    token: str = field(repr=False)
    server_url: str = ""
    gpu_indexes: tuple[int, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    grace_s: float = 15.0
    log_limit_bytes: int = 0
    keras_metrics: bool = True
    gpu_probe: bool = False
    cache_key: str = ""
    cluster: ClusterPlan | None = None
    ranks: tuple[str, ...] = ()
    is_rank: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchPlan:
    """All tasks of one attempt. ``share_user``: they run as one user, as processes of MPI have to."""

    key: str
    tasks: tuple[TaskPlan, ...]
    share_user: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """What a backend needs to find a task again, after any restart. ``native`` is JSON."""

    key: str
    node: str
    native: dict[str, Any]


class Liveness(str, enum.Enum):
    """What a backend sees of a task."""

    ABSENT = "absent"  # never started, or nothing is left of it
    ALIVE = "alive"  # its harness lives, and so does the script or something it left
    UNWATCHED = "unwatched"  # its harness has died, its script lives or has yet to start: launch the same key again
    EXITED = "exited"  # script and leftovers are over, with an exit on record; its harness may still be sending
    DIED = "died"  # over, and nobody wrote down how


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRecord:
    """How a script ended. Exactly one of ``code`` and ``signal`` is set; ``ended_at`` is Unix seconds. ``port_taken``:
    it ended badly, and a stranger listened on the port that was kept for it."""

    code: int | None
    signal: int | None
    ended_at: float
    out_of_memory: bool = False
    port_taken: bool = False
    max_rss_bytes: int | None = None
    started_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStatus:
    """One observation of one task."""

    liveness: Liveness
    exit: ExitRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolFile:
    """One stream of a task as it lies in its spool. What the server has acknowledged may have been given back to the
    disk, and then reads as zeros."""

    stream: str
    path: Path
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """One file that a task produced, ``path`` relative to what the run page shows (``outputs/model.keras``)."""

    path: str
    size_bytes: int
    modified_at: float
