"""A task's secret for the server: derived from the installation's key and the task's id, stored and shown nowhere."""

import re

from django.utils.crypto import constant_time_compare, salted_hmac

_TOKEN = re.compile(r"([1-9][0-9]{0,17})\.([0-9a-f]{64})")


def task_token(task_id: int) -> str:
    """``<task id>.<64 hexadecimal digits>``. It lets its bearer append to this task's streams and nothing else."""
    return f"{task_id}.{_signature(task_id)}"


def token_task(token: str) -> int | None:
    """The task whose token this is, or None. Takes as long for a wrong signature as for a right one."""
    parts = _TOKEN.fullmatch(token)
    if parts is None:
        return None
    task_id = int(parts[1])
    return task_id if constant_time_compare(_signature(task_id), parts[2]) else None


def _signature(task_id: int) -> str:
    return salted_hmac("trainhouse.ingest.task", str(task_id), algorithm="sha256").hexdigest()
