"""The wire's server end: who is let in, what is refused, and with which words."""

import asyncio
import json
import threading

import pytest
from django.db import connections

from runs.api import ingest
from runs.ingest.frame import FRAME_BYTES
from runs.ingest.tokens import task_token, token_task
from runs.models import PointBatch, Series, Stream
from runs.states import RunState
from runs.stores.logs import log_read
from tests.factories import make_run, make_task
from tests.runs.ingest.wire_calls import frame, post

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setattr("runs.ingest.receive.ring", lambda run_id: None)
    monkeypatch.setattr("runs.ingest.receive.enqueue_advance", lambda run_id: None)


@pytest.fixture
def task(db):
    return make_task(make_run(state=RunState.RUNNING))


def test_a_frame_is_taken_and_answered(task):
    status, answer, _ = post(frame(("output", 0, b"hello\n"), ("points", 0, b'{"k": "po')), task_token(task.pk))
    assert status == 200
    assert answer == {"accepted": {"output": 6, "points": 0}, "stop": None}
    assert log_read(Stream.objects.get(task=task, name="output").pk, offset=0, size=99) == b"hello\n"


def test_a_stop_is_told_with_its_grace(task, settings):
    type(task.attempt.run).objects.update(state=RunState.STOPPING)
    assert post(frame(), task_token(task.pk))[1]["stop"] == {"grace_s": settings.ENV.stop_grace_s}


def tampered(task):
    token = task_token(task.pk)
    other = task_token(task.pk + 1)
    return [
        "",
        "x",
        token[:-1],
        token[:-1] + ("0" if token[-1] != "0" else "1"),
        f"{task.pk + 1}.{token.partition('.')[2]}",
        f"{task.pk}.{other.partition('.')[2]}",
        f"0{token}",
        token.upper(),
        f"{task.pk}.",
        token + "\n",
        "\xff" * 10,
        "9" * 400 + ".a",
    ]


def test_a_wrong_token_is_refused_before_the_body_is_read(task):
    body = frame(("output", 0, b"x" * 500_000))
    for token in tampered(task):
        headers = {b"authorization": b"Bearer " + token.encode("utf-8", "replace")}
        if token.strip() == task_token(task.pk):
            continue
        status, answer, read = post(body, headers=headers)
        assert (status, read) == (401, 0), token
        assert "token" in answer["error"]
    assert post(body, headers={b"authorization": b"Basic abc"})[0] == 401


def test_a_token_opens_its_own_task_alone(task):
    other = make_task(make_run(state=RunState.RUNNING))
    assert token_task(task_token(task.pk)) == task.pk
    post(frame(("output", 0, b"mine")), task_token(task.pk))
    assert not Stream.objects.filter(task=other).exists()


def test_another_installations_token_is_refused(task, settings):
    token = task_token(task.pk)
    settings.SECRET_KEY = "another key"
    assert token_task(token) is None


def test_a_frame_that_is_too_large_is_refused_early(task):
    token = task_token(task.pk)
    body = frame(("output", 0, b"x" * FRAME_BYTES))
    said = {b"content-length": str(len(body)).encode()}
    assert post(body, token, headers=said)[::2] == (413, 0)
    status, answer, read = post(body, token)
    assert status == 413
    assert read <= FRAME_BYTES // 65536 + 2
    assert f"{FRAME_BYTES:,}" in answer["error"]
    assert not Stream.objects.exists()


def test_a_megabyte_of_output_is_taken_at_once(task):
    data = b"x" * (1024 * 1024)
    assert post(frame(("output", 0, data)), task_token(task.pk))[1]["accepted"] == {"output": len(data)}


MALFORMED = [
    (b"", "no newline"),
    (b"no newline at all", "no newline"),
    (b"rubbish\n", "not JSON"),
    (b"[]\n", "not a JSON object"),
    (b'{"v": 2}\n', "version 2"),
    (b"{" * 50_000 + b"\n", "not JSON"),
    (b'{"v": 1, "segments": 3}\n', "not a list"),
    (b'{"v": 1, "segments": [3]}\n', "not a JSON object"),
    (frame(("secrets", 0, b"")), "no stream 'secrets'"),
    (frame(("../../etc/passwd", 0, b"")), "no stream"),
    (frame(("output", 0, b"a"), ("output", 1, b"b")), "two segments"),
    (frame(("output", -1, b"a")), "offset -1"),
    (frame(("output", 2**63, b"a")), "whole"),
    (frame(("output", 0, b"abc"))[:-1], "3 bytes, but 2 are left"),
    (frame(("output", 0, b"abc")) + b"d", "1 bytes behind the last segment"),
    (frame(outputs=3), "'outputs' is not a list"),
    (frame(outputs=[["a", 1]]), "path, size and time"),
    (frame(exit={"code": None, "signal": None, "ended_at": 1}), "exactly one"),
    (frame(exit={"code": 1, "signal": 2, "ended_at": 1}), "exactly one"),
    (frame(exit={"code": 1, "ended_at": "now"}), "Unix seconds"),
    (frame(exit={"code": 2**40, "ended_at": 5}), "exactly one"),
    (frame(exit=3), "'exit' is not a JSON object"),
]


@pytest.mark.parametrize(("body", "words"), MALFORMED)
def test_a_malformed_frame_is_refused_in_words(task, body, words):
    status, answer, _ = post(body, task_token(task.pk))
    assert status == 422
    assert words in answer["error"]


def test_only_post_is_answered(task):
    assert post(b"", task_token(task.pk), method="GET")[0] == 405


def test_a_drained_task_of_a_finished_run_is_told_to_stop_sending(task):
    type(task.attempt.run).objects.update(state=RunState.COMPLETED)
    type(task).objects.update(is_drained=True)
    assert post(frame(), task_token(task.pk))[0] == 410


def test_a_mistake_of_the_server_is_an_answer_to_wait_for(task, monkeypatch, caplog):
    monkeypatch.setattr(ingest, "take", lambda *args: 1 / 0)
    assert post(frame(), task_token(task.pk))[0] == 500
    assert "ZeroDivisionError" in caplog.text


def test_too_many_requests_at_once_are_asked_to_come_again(task, monkeypatch):
    monkeypatch.setattr(ingest, "_waiting", ingest.WAITING)
    assert post(frame(), task_token(task.pk))[0] == 503


def test_requests_at_once_for_one_task_store_every_point_once(task):
    lines = [json.dumps({"k": "point", "n": "loss", "v": number}).encode() + b"\n" for number in range(60)]
    data = b"".join(lines)
    token = task_token(task.pk)
    statuses = []

    def send():
        accepted = 0
        while accepted < len(data):
            status, answer, _ = post(frame(("points", accepted, data[accepted : accepted + 200])), token)
            statuses.append(status)
            accepted = answer["accepted"]["points"] if status == 200 else accepted

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 500}
    assert statuses.count(500) == 0
    assert Series.objects.get().count == 60
    assert PointBatch.objects.count() <= 60


def test_the_threads_keep_their_connections(task, monkeypatch):
    wrapper = type(connections["default"])
    connect = wrapper.get_new_connection
    made = []
    monkeypatch.setattr(wrapper, "get_new_connection", lambda self, given: made.append(self) or connect(self, given))
    for number in range(60):
        assert post(frame(("samples", 0, b"x" * number)), task_token(task.pk))[0] == 200
    assert len(made) <= ingest.THREADS


def test_the_sender_may_go_away_in_the_middle(task):
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    headers = [(b"authorization", f"Bearer {task_token(task.pk)}".encode())]
    asyncio.run(ingest.application({"type": "http", "method": "POST", "headers": headers}, receive, send))
    assert sent == []
    assert ingest._waiting == 0
