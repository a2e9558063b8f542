"""What each child of ``up`` does with its life."""

import os
import signal
import socket
from functools import partial
from pathlib import Path

import uvicorn
from django.conf import settings
from django.db import close_old_connections
from django_rq import get_queue
from rq import Queue
from rq.executions import Execution
from rq.job import Job
from rq.worker import SimpleWorker

from config.secrets import runtime_dir
from config.up import redis_server
from config.up.processes import READY_SIGNAL, Part
from runs.supervisor import supervise_forever

#: How many workers each queue has, by queue.
WORKERS = {"control": 2, "builds": 1}

#: The largest message that a browser may send through a socket; what it wants to see takes a few hundred bytes.
WISH_BYTES = 1024 * 1024

#: A worker that has done this many jobs makes room for a fresh one.
JOBS_PER_WORKER = 5000


def redis_part() -> Part | None:
    """The embedded Redis; None when ``REDIS_URL`` names another."""
    if settings.ENV.redis_url:
        return None
    command = redis_server.redis_command(data_dir=settings.DATA_DIR, runtime_dir=runtime_dir(settings.ENV))
    return Part(name="redis", stage=0, main=partial(redis_server.become, command, data_dir=settings.DATA_DIR))


def platform_parts(listener: socket.socket) -> list[Part]:
    """Supervisor, workers and web, in the order in which they start."""
    parts = [Part(name="supervisor", stage=1, main=partial(_supervise, listener), patience_s=10.0)]
    for queue, count in WORKERS.items():
        for number in range(1, count + 1):
            name = f"{queue}-{number}" if count > 1 else queue
            # A job is a hint and is done again when it was cut short, so an orphaned worker need not finish one.
            work = partial(_work, queue, name, listener)
            parts.append(Part(name=name, stage=2, main=work, patience_s=5.0, death_signal=signal.SIGKILL))
    parts.append(Part(name="web", stage=3, main=partial(_serve, listener), patience_s=8.0))
    return parts


class Worker(SimpleWorker):
    """Runs jobs in its own process, with its database connection kept fresh. A hanging job ends by RQ's alarm."""

    def perform_job(self, job: Job, queue: Queue, execution: Execution) -> bool:
        close_old_connections()
        try:
            return super().perform_job(job, queue, execution)
        finally:
            close_old_connections()


def _work(queue: str, name: str, listener: socket.socket) -> None:
    listener.close()
    _await_redis()
    jobs = get_queue(queue)
    worker = Worker([jobs], connection=jobs.connection, name=f"{name}-{os.getpid()}")
    worker.work(logging_level="WARNING", max_jobs=JOBS_PER_WORKER)


def _supervise(listener: socket.socket) -> None:
    listener.close()
    is_asked_to_stop = False

    def ask(*_: object) -> None:
        nonlocal is_asked_to_stop
        is_asked_to_stop = True

    signal.signal(signal.SIGTERM, ask)
    supervise_forever(lambda: is_asked_to_stop)


class _Server(uvicorn.Server):
    """Tells the parent when it serves."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        os.kill(os.getppid(), READY_SIGNAL)


def _serve(listener: socket.socket) -> None:
    from config.asgi import application  # reads the folder of static files, which is ready by now

    config = uvicorn.Config(
        application,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        ws_max_size=WISH_BYTES,
        # Harnesses speak every 5 s at least; their connections stay open between.
        timeout_keep_alive=30,
        timeout_graceful_shutdown=3,
    )
    _Server(config).run(sockets=[listener])


def _await_redis() -> None:
    """Returns when the embedded Redis answers; a Redis elsewhere is left to its clients."""
    if not settings.ENV.redis_url:
        socket_path = Path(redis_server.socket_path(runtime_dir(settings.ENV)))
        redis_server.wait_until_ready(socket_path, is_alive=lambda: True)
