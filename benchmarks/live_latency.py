"""From a task's request to the browser's socket: a line of a log, and a logged metric.

``python -m benchmarks.live_latency [seconds]``. Wanted: p95 under 300 ms.
"""

import asyncio
import json
import random
import sys
import threading
import time

import websockets
from django.test import Client

from benchmarks import wire
from runs.models import Series, Stream, Task
from runs.states import RunState
from tests.factories import make_run, make_task, make_user

LINES_A_SECOND = 4


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    with wire.server() as (port, words):
        owner = make_user()
        client = Client()
        client.force_login(owner)
        task = make_task(make_run(owner=owner, state=RunState.RUNNING))
        sender = wire.Sender(port, task)
        sender.send(output=line(), points=point())
        sending = threading.Thread(target=send, args=(sender, seconds))
        arrivals = asyncio.run(watch(port, client.cookies["sessionid"].value, task, sending))
        for what, latencies in arrivals.items():
            middle, high = wire.percentile(latencies, 0.5), wire.percentile(latencies, 0.95)
            print(
                f"{what:<8} {len(latencies):>4}  p50 / p95 / max  {middle:.0f} / {high:.0f} / {max(latencies):.0f} ms"
            )
        if "Traceback" in words.read_text():
            print(words.read_text()[-2000:])


def line() -> bytes:
    return f"{time.time()}\n".encode()


def point() -> bytes:
    """A metric whose value is the moment at which it was logged."""
    return json.dumps({"k": "point", "n": "loss", "s": None, "t": time.time(), "v": time.time()}).encode() + b"\n"


def send(sender: wire.Sender, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sender.send(output=line(), points=point())
        time.sleep(random.uniform(0.5, 1.5) / LINES_A_SECOND)


async def watch(port: int, session: str, task: Task, sending: threading.Thread) -> dict[str, list[float]]:
    """What arrived, as milliseconds since it was sent."""
    run_id = task.attempt.run_id
    stream, series = await asyncio.to_thread(cursors_of, task)
    wish = {"type": "watch", "state": 0, "logs": {stream: 0}, "series": {series: 0}, "kind": "metric"}
    headers = {"Cookie": f"sessionid={session}"}
    arrivals: dict[str, list[float]] = {"line": [], "metric": []}
    async with websockets.connect(
        f"ws://127.0.0.1:{port}/ws/runs/{run_id}/", additional_headers=headers, origin=f"http://127.0.0.1:{port}"
    ) as socket:
        await socket.send(json.dumps(wish))
        await asyncio.sleep(1)
        sending.start()
        while sending.is_alive():
            try:
                frame = json.loads(await asyncio.wait_for(socket.recv(), 1))
            except asyncio.TimeoutError:
                continue
            now = time.time()
            if frame["type"] == "log" and frame["from"] > 0:
                arrivals["line"] += [(now - float(text)) * 1000 for text in frame["lines"]]
            elif frame["type"] == "points":
                for one in frame["series"].values():
                    arrivals["metric"] += [(now - value) * 1000 for value in one["values"] if one["from"] > 0]
    return arrivals


def cursors_of(task: Task) -> tuple[int, int]:
    return Stream.objects.get(task=task, name="output").pk, Series.objects.get(task=task).pk


if __name__ == "__main__":
    main()
