import io
import json
import uuid
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.utils import timezone

from runs.errors import SnapshotRefused
from runs.models import Snapshot, Upload
from runs.snapshots import (
    snapshot_from_zip,
    snapshot_paths,
    upload_add,
    upload_begin,
    upload_take,
    uploads_sweep,
)


def staging(upload: Upload):
    return django_settings.DATA_DIR / "tmp" / "uploads" / str(upload.pk)


def batch(**files: str) -> list[tuple[str, io.BytesIO]]:
    return [(name.replace("__", "/") + ".py", io.BytesIO(content.encode())) for name, content in files.items()]


@pytest.fixture
def upload(member) -> Upload:
    return upload_begin(member, "project")


@pytest.fixture
def browser(member) -> Client:
    """A signed-in client with CSRF protection on, as in a browser."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(member)
    client.cookies["csrftoken"] = "a" * 32
    client.defaults["HTTP_X_CSRFTOKEN"] = "a" * 32
    return client


def test_batches_become_one_snapshot_and_leave_no_staging(upload: Upload) -> None:
    assert upload_add(upload, batch(train="1", lib__a="2")) == 2
    assert upload_add(upload, batch(lib__b="3")) == 1
    snapshot = upload_take(upload).snapshot
    assert snapshot_paths(snapshot) == ["lib/a.py", "lib/b.py", "train.py"]
    assert not (staging(upload) / "files").exists()
    assert upload_take(upload).snapshot.pk == snapshot.pk


def test_the_chosen_folders_own_name_is_taken_off_whether_or_not_the_browser_sends_it(member) -> None:
    for prefix in ("", "project/"):
        upload = upload_begin(member, "project")
        upload_add(upload, [(f"{prefix}train.py", io.BytesIO(b"1")), (f"{prefix}.gitignore", io.BytesIO(b"x\n"))])
        assert snapshot_paths(upload_take(upload).snapshot) == [".gitignore", "train.py"]


@pytest.mark.parametrize("path", ["../a.py", "/a.py", "a\\b.py", "C:\\a.py", "a/../../b", "", "a\0b"])
def test_a_path_that_leads_elsewhere_is_refused_and_nothing_of_its_batch_is_kept(upload: Upload, path: str) -> None:
    with pytest.raises(SnapshotRefused):
        upload_add(upload, [("good.py", io.BytesIO(b"1")), (path, io.BytesIO(b"2"))])
    with pytest.raises(SnapshotRefused, match="No file is left"):
        upload_take(upload)


def test_the_server_ignores_again_what_the_browser_should_have_ignored(upload: Upload) -> None:
    files = {".amlignore": "*.csv", "a.csv": "1", "train.py": "1", ".git/config": "x", "outputs/m": "x"}
    upload_add(upload, [(name, io.BytesIO(content.encode())) for name, content in files.items()])
    assert not (staging(upload) / "files" / ".git").exists()
    assert snapshot_paths(upload_take(upload).snapshot) == [".amlignore", "train.py"]


def test_a_batch_sent_again_changes_nothing_but_other_content_is_refused(upload: Upload) -> None:
    upload_add(upload, batch(train="1"))
    upload_add(upload, batch(train="1"))
    with pytest.raises(SnapshotRefused, match=r"'train\.py' came twice with different content"):
        upload_add(upload, batch(train="2"))


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a")])
def test_a_file_and_a_folder_of_one_name_are_refused_across_batches(upload: Upload, names: tuple[str, str]) -> None:
    upload_add(upload, [(names[0], io.BytesIO(b"1"))])
    with pytest.raises(SnapshotRefused, match="both a file and a folder"):
        upload_add(upload, [(names[1], io.BytesIO(b"1"))])


def test_nothing_can_be_added_after_the_end(upload: Upload) -> None:
    upload_add(upload, batch(train="1"))
    upload_take(upload)
    with pytest.raises(SnapshotRefused, match="finished"):
        upload_add(upload, batch(more="1"))


def test_abandoned_uploads_are_swept_and_young_ones_are_not(member) -> None:
    old, young = upload_begin(member, ""), upload_begin(member, "")
    for upload in (old, young):
        upload_add(upload, batch(train="1"))
    Upload.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=2))
    assert uploads_sweep(timedelta(days=1)) == 1
    assert not staging(old).exists()
    assert snapshot_paths(upload_take(young).snapshot) == ["train.py"]
    assert uploads_sweep(timedelta(days=1)) == 0


@pytest.mark.django_db(transaction=True)
def test_the_same_zip_from_many_at_once_is_one_snapshot() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(30):
            archive.writestr(f"{uuid.uuid4()}.py", str(number))

    def take(_: int) -> int:
        try:
            return snapshot_from_zip(io.BytesIO(buffer.getvalue())).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(take, range(16)))) == 1
    assert Snapshot.objects.get().files.count() == 30


def test_a_browser_learns_the_rules(browser: Client) -> None:
    answer = browser.get("/api/v1/uploads/rules").json()
    assert answer["limits"] == {"bytes": 300 * 1024 * 1024, "files": 2000}
    assert answer["ignore_files"] == [".trainhouseignore", ".amlignore", ".gitignore"]
    assert "/outputs/" in answer["always_ignored"]


def sent(browser: Client, upload_id: str, paths: Any, *contents: bytes) -> Any:
    files = [SimpleUploadedFile(f"blob{number}", content) for number, content in enumerate(contents)]
    body = {"paths": paths if isinstance(paths, str) else json.dumps(paths), "files": files}
    return browser.post(f"/api/v1/uploads/{upload_id}/files", body)


def begun(browser: Client) -> str:
    answer = browser.post("/api/v1/uploads", json.dumps({"name": "p"}), content_type="application/json")
    assert answer.status_code == 201
    return answer.json()["id"]


@pytest.mark.parametrize("name", ["\0", "\ud800", "a\nb", 7, None])
def test_a_name_that_no_database_can_hold_is_left_out(browser: Client, name: object) -> None:
    answer = browser.post("/api/v1/uploads", json.dumps({"name": name}), content_type="application/json")
    assert answer.status_code == 201
    assert Upload.objects.get().name == ""


def test_a_folder_goes_up_in_batches_and_comes_back_as_a_snapshot(browser: Client) -> None:
    upload_id = begun(browser)
    assert sent(browser, upload_id, ["p/lib/a.py", "p/train.py"], b"1", b"").json() == {"staged": 2}
    assert sent(browser, upload_id, ["p/café.txt"], b"3").status_code == 200
    answer = browser.post(f"/api/v1/uploads/{upload_id}/finish").json()
    assert answer["files"] == [
        {"path": "café.txt", "size": 1},
        {"path": "lib/a.py", "size": 1},
        {"path": "train.py", "size": 0},
    ]
    assert answer["entry_candidates"] == ["train.py", "lib/a.py"]
    assert Snapshot.objects.get().digest == answer["snapshot"]


def test_a_zip_goes_up_whole(browser: Client) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("top/train.py", "1")
    answer = browser.post("/api/v1/uploads/zip", {"file": SimpleUploadedFile("a.zip", buffer.getvalue())}).json()
    assert answer["unwrapped"] == "top"
    assert answer["files"] == [{"path": "train.py", "size": 1}]
    assert Upload.objects.get(pk=answer["id"]).snapshot.digest == answer["snapshot"]


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["a.py"], "2 files and 1 paths"),
        (["a.py", 3], "each file needs one path"),
        ("{", "not JSON"),
        ('{"a": 1}', "must be a JSON list"),
        (["a.py", "../b.py"], "leads out"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_batch_that_cannot_be_understood_is_a_sentence(browser: Client, paths: Any, words: str) -> None:
    answer = sent(browser, begun(browser), paths, b"1", b"2")
    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_too_much_is_413_with_the_largest_named(browser: Client, settings) -> None:
    settings.ENV = replace(settings.ENV, snapshot_max_bytes=10)
    upload_id = begun(browser)
    assert sent(browser, upload_id, ["a.bin", "b.py"], bytes(15), b"1").status_code == 200
    answer = browser.post(f"/api/v1/uploads/{upload_id}/finish")
    assert answer.status_code == 413
    assert "'a.bin' (15 bytes)" in answer.json()["error"]
    assert sent(browser, upload_id, ["c.bin"], bytes(15)).status_code == 413


def test_another_persons_upload_is_not_found(browser: Client, admin) -> None:
    theirs = upload_begin(admin, "p")
    assert sent(browser, str(theirs.pk), ["a.py"], b"1").status_code == 404
    answer = browser.post(f"/api/v1/uploads/{theirs.pk}/finish")
    assert answer.status_code == 404
    assert "no such upload" in answer.json()["error"]


@pytest.mark.django_db
def test_the_signed_out_and_requests_without_their_csrf_token_are_refused(browser: Client) -> None:
    assert Client().get("/api/v1/uploads/rules").status_code == 401
    assert Client().post("/api/v1/uploads").status_code == 401
    del browser.defaults["HTTP_X_CSRFTOKEN"]
    assert browser.post("/api/v1/uploads").status_code == 403
    assert not Upload.objects.exists()


@pytest.mark.parametrize("body", [b"", b"no zip"])
def test_a_broken_zip_is_a_sentence(browser: Client, body: bytes) -> None:
    answer = browser.post("/api/v1/uploads/zip", {"file": SimpleUploadedFile("a.zip", body)})
    assert answer.status_code == 400
    assert "'a.zip' is not a zip file" in answer.json()["error"]


def test_a_body_that_breaks_off_is_a_sentence(browser: Client) -> None:
    answer = browser.generic("POST", "/api/v1/uploads/zip", b"--x", content_type="multipart/form-data; boundary=")
    assert answer.status_code == 400
    assert "error" in answer.json()
