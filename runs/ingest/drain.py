"""Brings a task's spool home through its backend, for a task whose harness cannot reach the server or has died."""

from __future__ import annotations

import time

from compute.backends.base import ComputeBackend
from compute.plan import Handle, Liveness
from runs.ingest.errors import TaskOver
from runs.ingest.facts import facts_of, forget
from runs.ingest.frame import LOG_STREAMS, STREAMS, Frame, Segment
from runs.ingest.receive import receive
from runs.models import Task
from runs.stores.logs import log_size

_CHUNK_BYTES = 900_000
#: A call returns after about this long, for the sake of the worker's time limit; call again for the rest.
STEP_S = 10.0
_GONE = (Liveness.ABSENT, Liveness.EXITED, Liveness.DIED)


def task_drain(task: Task, backend: ComputeBackend, *, step_s: float = STEP_S) -> bool:
    """Reads what the spool has beyond the stores into them, for about ``step_s`` seconds.

    True when every stream is here to its end, which can only be of a task that is over. Idempotent, and harmless
    beside a harness that sends the same bytes. Raises TargetUnreachable.
    """
    if Task.objects.filter(pk=task.pk, is_drained=True).exists():
        return True
    handle = task.backend_handle
    # Asked before the sizes: of a task that is over then, the sizes are final.
    is_over = backend.observe([handle])[handle.key].liveness in _GONE
    present = {spool.stream for spool in backend.collect(handle)}
    give_up_at = time.monotonic() + step_s
    forget(task.pk)
    try:
        for name in STREAMS:
            if name in present and not _fetch(task.pk, name, backend, handle, give_up_at):
                return False
        if is_over:
            _close(task.pk)
    except TaskOver:
        return True
    return is_over


def _fetch(task_id: int, name: str, backend: ComputeBackend, handle: Handle, give_up_at: float) -> bool:
    """Reads one stream up to its present end; False when time ran out."""
    while True:
        offset = _here(task_id, name)
        data = backend.read_spool(handle, name, offset=offset, size=_CHUNK_BYTES)
        if not data:
            return True
        answer = receive(task_id, Frame(segments=(Segment(stream=name, offset=offset, data=data),)))
        if answer.accepted[name] <= offset:
            return True  # what is left is the beginning of a line
        if time.monotonic() > give_up_at:
            return False


def _close(task_id: int) -> None:
    """Nothing more can come: each stream ends where it is. A last line without its newline is dropped as torn."""
    segments = tuple(Segment(stream=name, offset=_here(task_id, name), data=b"", eof=True) for name in STREAMS)
    receive(task_id, Frame(segments=segments))


def _here(task_id: int, name: str) -> int:
    stream = facts_of(task_id).streams[name]
    return log_size(stream.id) if name in LOG_STREAMS else stream.accepted_bytes
