"""Logs and files as downloads: whole, in part, and never as a page of this site."""

import os
from pathlib import Path

import pytest
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.test import Client
from django.urls import reverse

from runs.api.sending import PIECE_BYTES
from runs.models import Artifact
from runs.states import ArtifactPlace
from runs.stores.logs import log_path
from tests.runs.run_page.conftest import FullRun

CONTENT = bytes(range(256)) * 8


def raw(page: Client, full: FullRun, query: dict | None = None, **headers: str):
    return page.get(reverse("run-raw", args=[full.run.pk, full.output.pk]), query or {}, headers=headers)


def body(answer) -> bytes:
    return b"".join(answer.streaming_content)


@pytest.fixture
def stored(full: FullRun) -> Artifact:
    """The run's file, in the store."""
    artifact = Artifact.objects.get(run=full.run)
    artifact.place, artifact.storage_key = ArtifactPlace.STORE, f"{full.run.pk}/{full.task.pk}/{artifact.path}"
    artifact.save()
    path = settings.DATA_DIR / "artifacts" / artifact.storage_key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(CONTENT)
    return artifact


def test_the_raw_log_is_byte_for_byte_what_was_written(page: Client, full: FullRun):
    answer = raw(page, full)
    assert body(answer) == log_path(full.output.pk).read_bytes()
    assert answer["Content-Length"] == str(log_path(full.output.pk).stat().st_size)


def test_a_log_without_a_byte_is_an_empty_file(page: Client, full: FullRun):
    log_path(full.output.pk).unlink()
    answer = raw(page, full)
    assert answer.status_code == 200
    assert body(answer) == b""


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("bytes=0-4", slice(0, 5)),
        ("bytes=5-", slice(5, None)),
        ("bytes=-4", slice(-4, None)),
        ("bytes=3-9999", slice(3, None)),
    ],
)
def test_a_range_is_answered_with_that_part(page: Client, full: FullRun, wanted: str, expected: slice):
    whole = log_path(full.output.pk).read_bytes()
    answer = raw(page, full, Range=wanted)
    assert answer.status_code == 206
    assert body(answer) == whole[expected]
    first, end, _ = expected.indices(len(whole))
    assert answer["Content-Range"] == f"bytes {first}-{end - 1}/{len(whole)}"


def test_a_range_beyond_the_end_is_refused_with_the_size(page: Client, full: FullRun):
    answer = raw(page, full, Range="bytes=99999-")
    assert answer.status_code == 416
    assert answer["Content-Range"] == f"bytes */{log_path(full.output.pk).stat().st_size}"


@pytest.mark.parametrize("header", ["bytes=a-b", "lines=1-2", "bytes=0-1,3-4", "bytes=-"])
def test_a_range_that_means_nothing_gets_the_whole(page: Client, full: FullRun, header: str):
    assert raw(page, full, Range=header).status_code == 200


def test_the_tail_of_a_log(page: Client, full: FullRun):
    assert body(raw(page, full, {"tail": "10"})) == b"unfinished"


def test_a_file_comes_as_a_harmless_download(page: Client, full: FullRun, stored: Artifact):
    Artifact.objects.filter(pk=stored.pk).update(path="outputs/evil.html")
    answer = page.get(reverse("run-file", args=[full.run.pk, stored.pk]))
    assert body(answer) == CONTENT
    assert answer["Content-Disposition"] == 'attachment; filename="evil.html"'
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]


def test_a_name_with_line_breaks_and_emoji_makes_no_header(page: Client, full: FullRun, stored: Artifact):
    Artifact.objects.filter(pk=stored.pk).update(path='outputs/a"\r\nSet-Cookie: x=1 🙂.bin')
    answer = page.get(reverse("run-file", args=[full.run.pk, stored.pk]))
    assert answer.status_code == 200
    assert answer["Content-Disposition"].startswith("attachment")
    assert "Set-Cookie" not in answer.headers


def test_a_file_that_is_gone_is_not_found(page: Client, full: FullRun, stored: Artifact):
    os.unlink(settings.DATA_DIR / "artifacts" / stored.storage_key)
    assert page.get(reverse("run-file", args=[full.run.pk, stored.pk])).status_code == 404


def test_a_file_is_read_from_the_folder_of_a_task_that_lives(page: Client, full: FullRun):
    artifact = Artifact.objects.get(run=full.run)
    outputs = settings.DATA_DIR / "tasks" / full.task.key / "work" / "outputs"
    outputs.mkdir(parents=True)
    (outputs / "model.keras").write_bytes(CONTENT)
    full.task.handle = {"key": full.task.key, "node": "node", "native": {}}
    full.task.save(update_fields=["handle"])
    assert body(page.get(reverse("run-file", args=[full.run.pk, artifact.pk]))) == CONTENT
    (outputs / "model.keras").unlink()
    (outputs / "model.keras").symlink_to("/etc/passwd")
    assert page.get(reverse("run-file", args=[full.run.pk, artifact.pk])).status_code == 404


def test_a_file_of_a_task_without_a_handle_is_not_found(page: Client, full: FullRun):
    artifact = Artifact.objects.get(run=full.run)
    assert page.get(reverse("run-file", args=[full.run.pk, artifact.pk])).status_code == 404


@pytest.mark.django_db(transaction=True)
async def test_under_asgi_a_large_log_is_sent_piece_by_piece(page: Client, full: FullRun):
    path: Path = log_path(full.output.pk)
    path.write_bytes(b"x" * (PIECE_BYTES * 3 + 1))
    cookie = f"sessionid={page.cookies['sessionid'].value}"
    address = f"/runs/{full.run.pk}/streams/{full.output.pk}/raw"
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": address,
        "query_string": b"", "headers": [(b"host", b"localhost"), (b"cookie", cookie.encode())],
    }  # fmt: skip
    communicator = ApplicationCommunicator(ASGIHandler(), scope)
    await communicator.send_input({"type": "http.request", "body": b"", "more_body": False})
    start = await communicator.receive_output(10)
    assert start["status"] == 200
    pieces = []
    while True:
        message = await communicator.receive_output(10)
        pieces.append(len(message.get("body", b"")))
        if not message.get("more_body"):
            break
    assert sum(pieces) == PIECE_BYTES * 3 + 1
    assert max(pieces) <= PIECE_BYTES
