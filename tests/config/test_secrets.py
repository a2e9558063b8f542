"""The installation's key and the addresses it answers to."""

import os
import subprocess
import sys
import threading

import pytest
from django.conf import settings

from config import database, secrets
from config.env import Env, SettingError


def test_the_key_is_made_once_and_is_private(tmp_path):
    env = Env(data_dir=tmp_path)
    key = secrets.secret_key(env)
    assert secrets.secret_key(env) == key
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["secret.key"]


def test_processes_that_start_at_once_agree_on_one_whole_key(tmp_path):
    env = Env(data_dir=tmp_path)
    for _ in range(20):
        start, keys = threading.Barrier(8), []

        def read(start=start, keys=keys):
            start.wait()
            keys.append(secrets.secret_key(env))

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(keys) == 8
        assert len(set(keys)) == 1
        (tmp_path / "secret.key").unlink()


def test_a_key_file_that_was_cut_off_is_refused(tmp_path):
    (tmp_path / "secret.key").write_text("short")
    with pytest.raises(SettingError, match="holds 5 characters"):
        secrets.secret_key(Env(data_dir=tmp_path))


def test_a_file_in_place_of_the_data_folder_is_a_sentence(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(SettingError, match=r"data cannot be made: .*TRAINHOUSE_DATA_DIR"):
        secrets.secret_key(Env(data_dir=tmp_path / "data"))


def test_a_new_data_folder_can_be_passed_through_but_not_listed(tmp_path):
    old = os.umask(0o077)
    try:
        folder = secrets.data_dir(Env(data_dir=tmp_path / "data"))
    finally:
        os.umask(old)
    assert folder.stat().st_mode & 0o777 == 0o711


@pytest.mark.parametrize(
    ("values", "local", "public"),
    [
        ({}, "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ({"host": "0.0.0.0", "port": 80}, "http://127.0.0.1:80", "http://127.0.0.1:80"),
        ({"host": "::"}, "http://[::1]:8000", "http://[::1]:8000"),
        ({"host": "10.0.0.5"}, "http://10.0.0.5:8000", "http://10.0.0.5:8000"),
        ({"public_url": "https://house.example/"}, "http://127.0.0.1:8000", "https://house.example"),
    ],
)
def test_addresses_for_this_machine_and_for_people(tmp_path, values, local, public):
    env = Env(data_dir=tmp_path, **values)
    assert secrets.local_url(env) == local
    assert secrets.public_url(env) == public


def test_the_name_in_the_public_address_is_answered_to(tmp_path):
    assert "house.example" in secrets.allowed_hosts(Env(data_dir=tmp_path, public_url="https://house.example"))


def test_an_installation_whose_key_comes_from_outside_is_as_closed_as_any(tmp_path):
    """Without the key to write, nothing else may be left to make the folder with everybody's rights."""
    data = tmp_path / "new" / "data"
    environ = {**os.environ, "TRAINHOUSE_DATA_DIR": str(data), "TRAINHOUSE_SECRET_KEY": "k" * 50}
    environ.pop("DATABASE_URL", None)
    program = "import django; django.setup()\nfrom django.db import connection\nconnection.ensure_connection()\n"
    program += "connection.cursor().execute('CREATE TABLE secrets (word)')\nimport os; os._exit(0)"
    environ |= {"DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONPATH": str(settings.BASE_DIR / "platform")}
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert data.stat().st_mode & 0o777 == 0o711
    modes = {path.name: path.stat().st_mode & 0o777 for path in data.glob("trainhouse.sqlite3*")}
    assert modes == dict.fromkeys(["trainhouse.sqlite3", "trainhouse.sqlite3-wal", "trainhouse.sqlite3-shm"], 0o600)


def test_a_database_that_was_open_to_others_is_closed_with_its_log(tmp_path):
    path = tmp_path / "trainhouse.sqlite3"
    files = [path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))]
    for file in files:
        file.touch(0o644)
    database.sqlite(path)
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
