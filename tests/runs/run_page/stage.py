"""The other side of the browser tests: a process with the platform's own stores, told what to do line by line.

``python -m tests.runs.run_page.stage`` reads JSON lines ``{"do": name, ...}`` and answers each with a JSON line. It
works in the data folder of ``TRAINHOUSE_DATA_DIR``, which a real web server serves at the same time.
"""

import json
import os
import sys
import time
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.models import User  # noqa: E402
from runs.live.doorbell import ring, settle  # noqa: E402
from runs.models import Artifact, Run, Stream, Task  # noqa: E402
from runs.states import EndReason, RunState  # noqa: E402
from runs.stores.logs import log_write  # noqa: E402
from runs.stores.points import points_append  # noqa: E402
from tests.factories import make_run, make_stream, make_task, make_user  # noqa: E402
from tests.runs.run_page.cluster import end, make_cluster, stop  # noqa: E402
from tests.runs.run_page.conftest import fill, make_started_run  # noqa: E402


def sign_in() -> dict[str, Any]:
    """A session of ada's."""
    user = User.objects.filter(username="ada").first() or make_user(username="ada")
    client = Client()
    client.force_login(user)
    return {"session": client.cookies["sessionid"].value}


def full_run(**fields: Any) -> dict[str, Any]:
    """A running run with logs, curves, a file and an event."""
    full = fill(make_started_run(owner=User.objects.get(username="ada"), **fields))
    return {"run": full.run.pk, "task": full.task.pk, "output": full.output.pk}


def bare_run(state: str = RunState.RUNNING, reason: str = "", **fields: Any) -> dict[str, Any]:
    """A run with a task and an empty log."""
    ended = timezone.now() if reason else None
    run = make_run(
        owner=User.objects.get(username="ada"),
        state=state,
        end_reason=reason,
        started_at=timezone.now(),
        ended_at=ended,
        **fields,
    )
    task = make_task(run)
    return {"run": run.pk, "task": task.pk, "output": make_stream(task).pk}


def cluster(failed: bool = False) -> dict[str, Any]:
    """A run of two workers and a server on two nodes; ``failed``: one worker has failed and took the others along."""
    run = make_cluster(User.objects.get(username="ada"))
    if failed:
        end(run, "worker-1", after_s=30, exit_code=3)
        end(run, "worker-0", after_s=40, exit_signal=15)
        end(run, "ps-0", after_s=41, exit_signal=15)
        stop(run, after_s=31, reason=EndReason.SCRIPT_FAILED)
    return {"run": run.pk, "tasks": list(Task.objects.filter(attempt__run=run).values_list("pk", flat=True))}


def log(run: int, output: int, text: str) -> dict[str, Any]:
    size = log_write(output, text.encode())
    ring(run)
    return {"size": size}


def long_log(output: int, lines: int) -> dict[str, Any]:
    return {"size": log_write(output, b"".join(b"this is line %d\n" % number for number in range(1, lines + 1)))}


def points(run: int, task: int, name: str, rows: list[list[float]], kind: str = "metric") -> dict[str, Any]:
    at = time.time()
    points_append(run_id=run, task_id=task, points={(kind, name): [(step, at, value) for step, value in rows]})
    ring(run)
    return {}


def artifact(run: int, task: int, path: str) -> dict[str, Any]:
    Artifact.objects.create(
        run_id=run, task=Task.objects.get(pk=task), path=path, size_bytes=10, modified_at=time.time()
    )
    ring(run)
    return {}


def progress(run: int, **told: Any) -> dict[str, Any]:
    Run.objects.filter(pk=run).update(progress=told)
    ring(run)
    return {}


def complete(run: int) -> dict[str, Any]:
    """Ends the run well. The state's own writer is tested elsewhere."""
    Run.objects.filter(pk=run).update(state=RunState.COMPLETED, end_reason=EndReason.SUCCEEDED, ended_at=timezone.now())
    Stream.objects.filter(task__attempt__run_id=run).update(is_closed=True)
    ring(run)
    return {}


DEEDS = {
    deed.__name__: deed
    for deed in (sign_in, full_run, bare_run, cluster, log, long_log, points, artifact, progress, complete)
}


def main() -> None:
    call_command("migrate", verbosity=0)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        wish = json.loads(line)
        answer = DEEDS[wish.pop("do")](**wish)
        settle()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
