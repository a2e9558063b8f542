"""The installation's key and the addresses it answers to."""

import os
import threading

import pytest

from config import secrets
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
