"""Redis is killed under an open socket: lines go on arriving, and after its return they arrive at once again."""

import asyncio
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async

from config.up import redis_server as embedded
from runs.live import doorbell
from runs.live.doorbell import ring
from runs.stores.logs import log_write
from tests.factories import make_stream

pytestmark = pytest.mark.django_db(transaction=True)


class OwnRedis:
    """A Redis of this test alone, which can be killed and started again."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="th-redis-"))
        self.socket = embedded.socket_path(self.folder / "run")
        self.process = None

    def start(self):
        command = embedded.redis_command(data_dir=self.folder, runtime_dir=self.folder / "run")
        self.process = subprocess.Popen(command)
        embedded.wait_until_ready(self.socket, is_alive=lambda: self.process.poll() is None)

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def own_redis(settings, monkeypatch):
    redis = OwnRedis()
    redis.start()
    config = {"hosts": [f"unix://{redis.socket}"], "prefix": "test"}
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": config}
    }
    monkeypatch.setattr(doorbell, "_current", None)
    yield redis
    redis.kill()
    shutil.rmtree(redis.folder)


async def test_a_socket_outlives_redis(own_redis, connect, run, task, monkeypatch):
    monkeypatch.setattr("runs.live.watcher.IDLE_S", 0.5)
    stream = await sync_to_async(make_stream)(task)
    socket = await connect()
    await socket.watch(logs={stream.pk: 0})
    await socket.frame("state")

    async def line_arrives(text, within_s):
        log_write(stream.pk, text.encode() + b"\n")
        ring(run.pk)
        assert (await socket.frame("log", timeout_s=within_s))["lines"] == [text]

    async def keep_ringing():
        while True:
            ring(run.pk)
            await asyncio.sleep(0.2)

    await line_arrives("before", within_s=3)
    own_redis.kill()
    await line_arrives("without Redis", within_s=5)
    monkeypatch.setattr("runs.live.watcher.IDLE_S", 60.0)
    await line_arrives("still without, on the last short wait", within_s=5)
    own_redis.start()
    log_write(stream.pk, b"after its return\n")
    ringing = asyncio.create_task(keep_ringing())
    assert (await socket.frame("log", timeout_s=20))["lines"] == ["after its return"]
    ringing.cancel()
    await socket.disconnect()
