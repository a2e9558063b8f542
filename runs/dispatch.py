"""Hints to the workers. The database is the truth: a hint that is lost costs a moment, never a run."""

import logging

import django_rq
from django.db import transaction
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

#: How long the workers may take. The control queue stays short so that a cancel never waits for a build.
CONTROL_TIMEOUT_S = 60
BUILD_TIMEOUT_S = 7200


def enqueue_advance(run_id: int) -> None:
    """Asks a control worker to look at a run, once the present transaction is committed. Never raises."""
    transaction.on_commit(lambda: _enqueue("control", "runs.tasks.advance_run", run_id, CONTROL_TIMEOUT_S))


def enqueue_build(environment_id: int) -> None:
    """Asks a builds worker to build an environment, once the present transaction is committed. Never raises."""
    transaction.on_commit(lambda: _enqueue("builds", "runs.tasks.build_environment", environment_id, BUILD_TIMEOUT_S))


def _enqueue(queue: str, function: str, argument: int, timeout_s: int) -> None:
    try:
        django_rq.get_queue(queue).enqueue(
            function, argument, job_timeout=timeout_s, result_ttl=0, failure_ttl=3600, ttl=300
        )
    except (RedisError, OSError) as error:
        logger.warning("The queue is away; the supervisor will pick this up: %s", error, extra={"action": function})
