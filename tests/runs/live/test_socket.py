"""The socket of a run: who gets in, who stays, and what is told."""

import asyncio
import json
import math

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import logout
from django.http import HttpRequest
from django.test import Client

from runs import consumers
from runs.live.doorbell import ring, ring_environment
from runs.models import Artifact, Run, Stream
from runs.states import RunState
from runs.stores.logs import log_write
from runs.stores.points import points_append, points_compact
from tests.factories import make_environment, make_run, make_stream, make_task, make_user
from tests.runs.live.conftest import Socket

pytestmark = pytest.mark.django_db(transaction=True)


@sync_to_async
def in_database(function, *args, **kwargs):
    return function(*args, **kwargs)


def append(task, name, values, kind="metric"):
    points_append(run_id=task.attempt.run_id, task_id=task.pk, points={(kind, name): [(None, 1.0, v) for v in values]})


async def test_the_state_is_told_when_it_differs_from_what_the_client_has(connect, run):
    socket = await connect()
    await socket.watch(state=0)
    told = await socket.frame("state")
    assert told["run"]["state"] == "running"
    assert told["run"]["label"] == "Running"
    await socket.watch(state=told["version"])
    assert await socket.receive_nothing(timeout=1)
    await in_database(Run.objects.filter(pk=run.pk).update, progress={"epoch": 3})
    ring(run.pk)
    assert (await socket.frame("state"))["run"]["progress"] == {"epoch": 3}
    await socket.disconnect()


async def test_nothing_is_sent_before_the_client_says_what_it_has(connect):
    socket = await connect()
    assert await socket.receive_nothing(timeout=0.5)
    await socket.disconnect()


async def test_a_line_arrives_after_the_doorbell_and_lines_are_whole(connect, run, task):
    stream = await in_database(make_stream, task)
    log_write(stream.pk, b"one\ntwo\nthr")
    socket = await connect()
    await socket.watch(logs={stream.pk: 4})
    first = await socket.frame("log")
    cursors = {"from": 4, "to": 8, "first_line": 1}
    assert first == {"type": "log", "stream": stream.pk, **cursors, "lines": ["two"], "tail": "thr", "eof": False}
    log_write(stream.pk, b"ee\n")
    ring(run.pk)
    second = await socket.frame("log")
    assert (second["from"], second["to"], second["lines"], second["tail"]) == (8, 14, ["three"], "")
    await socket.disconnect()


async def test_without_a_doorbell_a_line_arrives_all_the_same(connect, task, monkeypatch):
    monkeypatch.setattr("runs.live.watcher.IDLE_S", 0.3)
    stream = await in_database(make_stream, task)
    socket = await connect()
    await socket.watch(logs={stream.pk: 0})
    await socket.frame("state")
    log_write(stream.pk, b"nobody rang\n")
    assert (await socket.frame("log", timeout_s=7))["lines"] == ["nobody rang"]
    await socket.disconnect()


async def test_the_end_of_a_log_is_told_once(connect, run, task):
    stream = await in_database(make_stream, task)
    log_write(stream.pk, b"all\n")
    socket = await connect()
    await socket.watch(logs={stream.pk: 0})
    assert not (await socket.frame("log"))["eof"]
    await in_database(Stream.objects.filter(pk=stream.pk).update, is_closed=True)
    ring(run.pk)
    end = await socket.frame("log")
    assert (end["from"], end["to"], end["lines"], end["eof"]) == (4, 4, [], True)
    ring(run.pk)
    assert await socket.receive_nothing(timeout=0.8)
    await socket.disconnect()


async def test_a_large_log_comes_in_frames_of_a_bounded_size(connect, task):
    stream = await in_database(make_stream, task)
    lines = [f"\x1b[31m{number}\x1b[0m " + '\x00\xfe"\\' * 40 for number in range(20_000)]
    log_write(stream.pk, "".join(line + "\n" for line in lines).encode("latin-1"))
    socket = await connect()
    await socket.watch(logs={stream.pk: 0})
    got, cursor = [], 0
    while len(got) < len(lines):
        text = await socket.text()
        assert len(text.encode()) <= 256 * 1024
        frame = json.loads(text)
        if frame["type"] != "log":
            continue
        assert frame["from"] == cursor
        assert frame["first_line"] == len(got)
        cursor = frame["to"]
        got += frame["lines"]
    assert [line.split(" ")[0] for line in got] == [f"\x1b[31m{number}\x1b[0m" for number in range(20_000)]
    await socket.disconnect()


async def test_a_log_of_another_run_is_not_told(connect, task, run):
    other = await in_database(lambda: make_stream(make_task(make_run())))
    log_write(other.pk, b"secret\n")
    own = await in_database(make_stream, task)
    log_write(own.pk, b"mine\n")
    socket = await connect()
    await socket.watch(logs={other.pk: 0, own.pk: 0})
    assert (await socket.frame("log"))["stream"] == own.pk
    ring(run.pk)
    assert await socket.receive_nothing(timeout=0.8)
    await socket.disconnect()


async def test_the_build_of_the_runs_environment_is_told_live(connect, run):
    environment = await in_database(make_environment, run.target)
    stream = await in_database(Stream.objects.create, environment=environment, name="build")
    await in_database(Run.objects.filter(pk=run.pk).update, environment=environment)
    socket = await connect()
    await socket.watch(logs={stream.pk: 0})
    told = await socket.frame("state")
    assert {"id": stream.pk, "name": "build", "task": None, "closed": False} in told["run"]["logs"]
    await asyncio.sleep(0.5)
    log_write(stream.pk, b"Installed 40 packages\n")
    ring_environment(environment.pk)
    assert (await socket.frame("log", timeout_s=2))["lines"] == ["Installed 40 packages"]
    await socket.disconnect()


async def test_points_come_from_the_clients_index_on(connect, run, task):
    await in_database(append, task, "loss", [3.0, 2.0, math.nan])
    await in_database(append, task, "cpu_percent", [50.0], kind="system")
    series = await in_database(lambda: run.series.get(name="loss"))
    socket = await connect()
    await socket.watch(series={series.pk: 1}, kind="metric")
    told = (await socket.frame("points"))["series"]
    assert told == {
        str(series.pk): {"name": "loss", "from": 1, "steps": [1.0, 2.0], "times": [1.0, 1.0], "values": [2.0, None]}
    }
    await in_database(points_compact)
    await in_database(append, task, "loss", [1.0])
    await in_database(append, task, "accuracy", [0.9])
    ring(run.pk)
    told = (await socket.frame("points"))["series"]
    assert {one["name"]: (one["from"], one["values"]) for one in told.values()} == {
        "loss": (3, [1.0]),
        "accuracy": (0, [0.9]),
    }
    await socket.disconnect()


async def test_many_points_come_in_frames_of_a_bounded_size(connect, run, task):
    expected = [number / 7 for number in range(20_000)]
    await in_database(append, task, "loss", expected)
    socket = await connect()
    await socket.watch(series={}, kind="metric")
    values = []
    while len(values) < len(expected):
        text = await socket.text()
        assert len(text) <= 256 * 1024
        frame = json.loads(text)
        if frame["type"] == "points":
            (one,) = frame["series"].values()
            assert one["from"] == len(values)
            values += one["values"]
    assert values == expected
    await socket.disconnect()


async def test_a_thousand_series_come_in_frames_of_a_bounded_size(connect, run, task):
    names = {("metric", f"{number} " + "\N{SNOWMAN}" * 240): [(None, 1.0, 1.0)] for number in range(1000)}
    await in_database(points_append, run_id=run.pk, task_id=task.pk, points=names)
    socket = await connect()
    await socket.watch(series={}, kind="metric")
    told = {}
    while len(told) < 1000:
        text = await socket.text()
        assert len(text.encode()) <= 256 * 1024
        told |= json.loads(text).get("series") or {}
    await socket.disconnect()


async def test_files_that_appear_are_told(connect, run, task):
    socket = await connect()
    await socket.watch()
    await socket.frame("state")
    await in_database(
        Artifact.objects.create, run=run, task=task, path="outputs/model.keras", size_bytes=1, modified_at=1.0
    )
    ring(run.pk)
    assert (await socket.frame("files"))["version"]
    await socket.disconnect()


RUBBISH = ["", "x", "[]", "{}", '{"type": "watch", "logs": [1]}', '{"type": "watch", "logs": {"a": 1}}', "9" * 300_000]


async def test_rubbish_from_a_client_is_passed_over(connect):
    socket = await connect()
    for text in [
        "",
        "x",
        "[]",
        "{}",
        '{"type": "watch", "logs": [1]}',
        '{"type": "watch", "logs": {"a": 1}}',
        "9" * 300_000,
    ]:
        await socket.send(text=text)
    await socket.send(text='{"type": "watch", "series": {"1": -5}, "kind": "secrets"}')
    await socket.send(text=json.dumps({"type": "watch", "logs": {str(2**70): 1}}))
    await socket.send(data=b"\x00")
    assert await socket.receive_nothing(timeout=0.5)
    await socket.watch()
    await socket.frame("state")
    await socket.disconnect()


async def test_someone_who_is_not_signed_in_is_sent_away(connect, client_of):
    assert await (await connect(client=Client())).close_code() == consumers.SIGNED_OUT


async def test_another_persons_run_looks_like_none(connect, client_of):
    stranger = await in_database(make_user)
    client = await in_database(client_of, stranger)
    assert await (await connect(client=client)).close_code() == consumers.NO_SUCH_RUN
    assert await (await connect(run_id=99_999)).close_code() == consumers.NO_SUCH_RUN


async def test_staff_may_watch(connect, client_of, admin):
    socket = await connect(client=await in_database(client_of, admin))
    await socket.watch()
    await socket.frame("state")
    await socket.disconnect()


@pytest.mark.parametrize(
    "origin",
    [None, "http://evil.example", "http://testserver:9999", "null", "http://testserver.evil.example", "http://["],
)
async def test_another_sites_page_opens_no_socket(connect, run, origin):
    assert not await Socket(run.pk, connect.client, origin=origin).connect()


async def test_a_host_that_is_not_ours_opens_no_socket(connect, run):
    socket = Socket(run.pk, connect.client, origin="http://rebound.example", host="rebound.example")
    assert not await socket.connect()


async def test_signing_out_closes_the_socket_at_once(connect, run):
    socket = await connect()
    await socket.watch()
    await socket.frame("state")
    await in_database(sign_out, connect.client)
    assert await socket.close_code(timeout_s=3) == consumers.SIGNED_OUT


def sign_out(client):
    request = HttpRequest()
    request.session = client.session
    logout(request)


@pytest.mark.parametrize("loss", ["session", "account", "run", "deleted"])
async def test_a_right_that_is_gone_closes_the_socket_soon(connect, run, owner, monkeypatch, loss):
    monkeypatch.setattr(consumers, "CHECK_EVERY_S", 0.2)
    socket = await connect()
    await socket.watch()
    await socket.frame("state")
    if loss == "session":
        await in_database(connect.client.session.delete)
    elif loss == "account":
        owner.is_active = False
        await in_database(owner.save, update_fields=["is_active"])
    elif loss == "run":
        other = await in_database(make_user)
        await in_database(Run.objects.filter(pk=run.pk).update, owner=other)
    else:
        await in_database(Run.objects.filter(pk=run.pk).delete)
    ring(run.pk)
    await asyncio.sleep(0.3)
    ring(run.pk)
    expected = {"session": 4401, "account": 4401, "run": 4403, "deleted": 4404}[loss]
    assert await socket.close_code() == expected


async def test_a_run_that_ends_is_told(connect, run):
    socket = await connect()
    await socket.watch()
    await socket.frame("state")
    await in_database(Run.objects.filter(pk=run.pk).update, state=RunState.COMPLETED)
    ring(run.pk)
    told = (await socket.frame("state"))["run"]
    assert (told["state"], told["is_final"]) == ("completed", True)
    await socket.disconnect()


async def test_an_unknown_address_is_closed_for_good(connect, run):
    socket = Socket(run.pk, connect.client, path="/ws/nothing/")
    assert await socket.connect()
    assert await socket.close_code() == consumers.NO_SUCH_RUN
