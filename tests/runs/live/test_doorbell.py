"""The doorbell: at most twenty rings a second, the last one always, and never an error."""

import asyncio
import multiprocessing
import threading
import time

import pytest
from channels.layers import get_channel_layer
from django.db import transaction
from redis import Redis

from runs.live import doorbell
from runs.live.doorbell import RINGS_A_SECOND, ring, run_group, settle

pytestmark = pytest.mark.django_db(transaction=True)


class Listener:
    """Someone in a run's group, counting rings."""

    async def __aenter__(self):
        self.layer = get_channel_layer()
        self.channel = await self.layer.new_channel()
        await self.layer.group_add(run_group(5), self.channel)
        self.heard = []
        self.task = asyncio.create_task(self.listen())
        return self

    async def listen(self):
        while True:
            message = await self.layer.receive(self.channel)
            self.heard.append((time.monotonic(), message))

    async def __aexit__(self, *_):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def hears(self, count, timeout_s=3.0):
        give_up_at = time.monotonic() + timeout_s
        while len(self.heard) < count:
            assert time.monotonic() < give_up_at, f"heard {len(self.heard)} of {count} rings"
            await asyncio.sleep(0.01)


async def test_a_ring_is_heard_and_carries_nothing(redis_server):
    async with Listener() as listener:
        ring(5)
        await listener.hears(1)
        assert listener.heard[0][1] == {"type": "doorbell"}


async def test_many_rings_become_twenty_a_second_and_the_last_is_heard(redis_server):
    async with Listener() as listener:
        began = time.monotonic()
        last = began
        while time.monotonic() < began + 1.0:
            ring(5)
            last = time.monotonic()
            await asyncio.sleep(0.002)
        await asyncio.to_thread(settle)
        await asyncio.sleep(0.1)
        assert 5 <= len(listener.heard) <= RINGS_A_SECOND + 3
        assert listener.heard[-1][0] >= last


async def test_the_number_of_connections_stays_flat(redis_server):
    redis = Redis.from_url(redis_server)
    async with Listener() as listener:
        ring(5)
        await listener.hears(1)
        before = len(redis.client_list())

        def many():
            for _ in range(30):
                ring(5)
                time.sleep(0.005)

        threads = [threading.Thread(target=many) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        await asyncio.to_thread(settle)
        assert len(redis.client_list()) <= before
    redis.close()


async def test_a_forked_process_rings_too(redis_server):
    async with Listener() as listener:
        ring(5)
        await listener.hears(1)
        child = multiprocessing.get_context("fork").Process(target=ring_and_leave)
        child.start()
        await listener.hears(2)
        await asyncio.to_thread(child.join)
        assert child.exitcode == 0
        ring(5)
        await listener.hears(3)


def ring_and_leave():
    ring(5)
    if not settle(timeout_s=5):
        raise SystemExit(1)


async def test_a_ring_within_a_transaction_waits_for_its_commit(redis_server):
    async with Listener() as listener:

        def write():
            with transaction.atomic():
                ring(5)
                time.sleep(0.3)
                return len(listener.heard)

        assert await asyncio.to_thread(write) == 0
        await listener.hears(1)


def test_without_redis_a_ring_fails_nothing_and_is_said_once(settings, monkeypatch, caplog):
    broken = {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": ["unix:///nowhere/redis"]},
    }
    settings.CHANNEL_LAYERS = {"default": broken}
    monkeypatch.setattr(doorbell, "_current", None)
    for _ in range(5):
        ring(5)
        assert settle(timeout_s=5)
    assert caplog.text.count("The doorbell does not reach Redis") == 1


def test_a_mistake_in_ringing_never_reaches_the_caller(monkeypatch, caplog):
    monkeypatch.setattr(doorbell, "_bell", lambda: 1 / 0)
    ring(5)
    assert "A ring failed" in caplog.text
