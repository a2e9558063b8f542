"""Twenty simulated tasks at ten requests a second beside submissions and compaction, on SQLite.

``python -m benchmarks.ingest [seconds]``. Wanted: no "database is locked", p95 under 200 ms.
"""

import sys
import threading
import time

from django.db import OperationalError, connections

from benchmarks import wire
from runs.models import PointBatch, Run, Series, SeriesChunk, Task
from runs.states import RunState
from runs.stores.points import points_compact
from tests.factories import make_run, make_target, make_task, make_user

TASKS = 20
REQUESTS_A_SECOND = 10
SUBMISSIONS_A_SECOND = 5


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    with wire.server() as (port, words):
        tasks = [make_task(make_run(state=RunState.RUNNING)) for _ in range(TASKS)]
        until = time.monotonic() + seconds
        latencies: list[list[float]] = [[] for _ in tasks]
        failures: list[str] = []
        threads = [
            threading.Thread(target=send, args=(port, task, until, latencies[place], failures))
            for place, task in enumerate(tasks)
        ]
        submissions = threading.Thread(target=submit, args=(until, failures))
        for thread in (*threads, submissions):
            thread.start()
        for thread in (*threads, submissions):
            thread.join()
        report(latencies, failures, words.read_text(), seconds)


def send(port: int, task: Task, until: float, latencies: list[float], failures: list[str]) -> None:
    """Ten requests a second, each with a kilobyte of log and twenty points of four series."""
    sender = wire.Sender(port, task)
    step = 0
    due = time.monotonic()
    while due < until:
        time.sleep(max(0.0, due - time.monotonic()))
        lines = [
            b'{"k": "point", "n": "metric/%d", "s": %d, "t": %f, "v": 0.5}\n' % (n % 4, step, time.time())
            for n in range(20)
        ]
        began = time.perf_counter()
        status = sender.send(output=b"a line of a log, as scripts print them\n" * 25, points=b"".join(lines))
        latencies.append(time.perf_counter() - began)
        if status != 200:
            failures.append(f"status {status}")
        step += 1
        due = max(due + 1 / REQUESTS_A_SECOND, time.monotonic() - 1)


def submit(until: float, failures: list[str]) -> None:
    """Rows as submissions make them, and the supervisor's compaction every second."""
    owner, target = make_user(), make_target()
    compacted_at = time.monotonic()
    while time.monotonic() < until:
        try:
            make_run(owner=owner, target=target)
            if time.monotonic() - compacted_at >= 1:
                compacted_at = time.monotonic()
                points_compact()
        except OperationalError as error:
            failures.append(str(error))
        time.sleep(1 / SUBMISSIONS_A_SECOND)
    connections.close_all()


def report(latencies: list[list[float]], failures: list[str], words: str, seconds: float) -> None:
    every = [latency * 1000 for own in latencies for latency in own]
    points_compact()
    print(f"requests            {len(every)}  ({len(every) / seconds:.0f} a second)")
    middle, high = wire.percentile(every, 0.5), wire.percentile(every, 0.95)
    print(f"p50 / p95 / max     {middle:.1f} / {high:.1f} / {max(every):.1f} ms")
    print(f"database is locked  {words.count('database is locked') + sum('locked' in one for one in failures)}")
    print(f"other failures      {len(failures)}  {failures[:3]}")
    print(f"runs submitted      {Run.objects.count() - TASKS}")
    print(
        f"points              {sum(Series.objects.values_list('count', flat=True))} in {SeriesChunk.objects.count()} "
        f"chunks and {PointBatch.objects.count()} batches"
    )
    if "Traceback" in words:
        print("the server said:", words[-2000:], sep="\n")


if __name__ == "__main__":
    main()
