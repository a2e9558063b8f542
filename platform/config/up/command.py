"""One start, from the first look to the last word."""

import gc
import os
from collections.abc import Callable
from importlib import import_module

from django.conf import settings
from django.urls import get_resolver

from config.env import Env
from config.secrets import runtime_dir
from config.up import banner, preflight, redis_server
from config.up.parts import platform_parts, redis_part
from config.up.prepare import prepare
from config.up.processes import Family, run_once
from runs.models import Run
from runs.states import ACTIVE

#: What the children import late, imported once in the parent so that they share it.
PRELOADED = (
    "channels_redis.pubsub",
    "django.contrib.sessions.backends.db",
    "django.template.loader_tags",
    "runs.api.ingest",
    "runs.consumers",
    "runs.tasks",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
    "uvloop",
    "config.static",
)


def up(*, demo: str, say: Callable[[str], None]) -> None:
    """Runs the whole platform until a signal ends it; ``demo`` names the examples to submit, empty for none. Raises
    StartRefused when it cannot start here."""
    env: Env = settings.ENV
    lock = preflight.check(env)
    listener = preflight.listen(env)
    preload()
    family = Family(private=[lock])
    try:
        redis = redis_part()
        if redis:
            family.start([redis])
            socket_path = redis_server.socket_path(runtime_dir(env))
            redis_server.wait_until_ready(socket_path, is_alive=lambda: family.is_alive("redis"))
        facts = run_once(lambda: prepare(demo=demo))
        family.start(platform_parts(listener))
        family.watch(on_ready=lambda: say(banner.ready(env, facts)))
        say(banner.goodbye(run_once(count_active_runs)))
    finally:
        family.stop()
        listener.close()
        os.close(lock)


def preload() -> None:
    """Imports what any child will need and keeps the collector away from it, so that the pages stay shared."""
    for name in PRELOADED:
        import_module(name)
    _ = get_resolver().url_patterns
    gc.collect()
    gc.freeze()


def count_active_runs() -> int:
    """How many runs have not come to their end."""
    return Run.objects.filter(state__in=ACTIVE).count()
