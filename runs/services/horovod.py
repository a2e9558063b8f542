"""Horovod in a submission: what stands in its way on the chosen target, and what to expect."""

from __future__ import annotations

from compute.models import ComputeTarget
from compute.registry import backend_of
from runs.environments import horovod_expectations, horovod_problems
from runs.environments.definitions import effective
from runs.environments.requirements import Read
from runs.models import Snapshot
from runs.services.surroundings import readable
from runs.snapshots import snapshot_paths, snapshot_reader
from runs.spec import Definition, Problem, RunSpec

#: Of a source, so many Python files are looked at, and so many bytes of each.
MOST_SCRIPTS = 200
MOST_BYTES = 256 * 1024


def horovod_problems_at(
    target: ComputeTarget, spec: RunSpec, *, snapshot: Snapshot | None, definition: Definition | None
) -> list[Problem]:
    """Why this submission can have no Horovod on ``target``; empty when it wants none. Looks at the machine."""
    return horovod_problems(*_meant(spec, snapshot, definition), backend_of(target))


def horovod_advice_at(
    target: ComputeTarget, spec: RunSpec, *, snapshot: Snapshot | None, definition: Definition | None
) -> list[str]:
    """What to expect of Horovod on ``target``, as sentences; empty where there is a problem."""
    expected = horovod_expectations(*_meant(spec, snapshot, definition), backend_of(target))
    if snapshot is not None and spec.distributed_backend == "mpi" and not _names_horovod(snapshot):
        expected.append(
            "No Python file of the source names horovod: without hvd.init() every process trains by itself, and "
            "nothing is averaged. Choose one process, or make the script one of Horovod."
        )
    return expected


def _names_horovod(snapshot: Snapshot) -> bool:
    """Whether any of its Python files does, as far as they are looked at."""
    read = snapshot_reader(snapshot)
    scripts = [path for path in snapshot_paths(snapshot) if path.endswith(".py")]
    return len(scripts) > MOST_SCRIPTS or any(b"horovod" in (read(path, MOST_BYTES) or b"") for path in scripts)


def _meant(spec: RunSpec, snapshot: Snapshot | None, definition: Definition | None) -> tuple[RunSpec, Read | None]:
    there, read = readable(spec, snapshot)
    return effective(there, definition, read)
