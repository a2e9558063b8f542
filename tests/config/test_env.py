"""Reading the environment: every value understood, or a sentence that names it."""

from pathlib import Path

import pytest

from config.env import Env, SettingError, read


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("TRAINHOUSE_PORT", "9000", "port", 9000),
        ("TRAINHOUSE_HOST", "0.0.0.0", "host", "0.0.0.0"),
        ("TRAINHOUSE_DATA_DIR", "/srv/house", "data_dir", Path("/srv/house")),
        ("TRAINHOUSE_DEBUG", "yes", "debug", True),
        ("TRAINHOUSE_DEBUG", "off", "debug", False),
        ("TRAINHOUSE_DEBUG", "", "debug", False),
        ("TRAINHOUSE_ALLOWED_HOSTS", "a.example, b.example,", "allowed_hosts", ("a.example", "b.example")),
        ("TRAINHOUSE_LOG_LEVEL", "debug", "log_level", "debug"),
        ("TRAINHOUSE_PUBLIC_URL", "https://house.example", "public_url", "https://house.example"),
        ("DATABASE_URL", "postgres://u:p@h/n", "database_url", "postgres://u:p@h/n"),
        ("REDIS_URL", "redis://h:6379/0", "redis_url", "redis://h:6379/0"),
    ],
)
def test_a_variable_becomes_a_typed_value(variable, text, name, value):
    assert getattr(read({variable: text}), name) == value


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("TRAINHOUSE_PORT", "http", "TRAINHOUSE_PORT is 'http'; it must be a whole number"),
        ("TRAINHOUSE_PORT", "0", "TRAINHOUSE_PORT is 0; it must be between 1 and 65535"),
        ("TRAINHOUSE_PORT", "70000", "between 1 and 65535"),
        ("TRAINHOUSE_STOP_GRACE_S", "-1", "TRAINHOUSE_STOP_GRACE_S is -1; it must not be negative"),
        ("TRAINHOUSE_DEBUG", "maybe", "TRAINHOUSE_DEBUG is 'maybe'; it must be one of 1, 0"),
        ("TRAINHOUSE_DATA_DIR", "", "TRAINHOUSE_DATA_DIR is empty; it must name a folder"),
        ("TRAINHOUSE_LOG_LEVEL", "loud", "TRAINHOUSE_LOG_LEVEL is 'loud'; it must be one of DEBUG, INFO"),
        ("TRAINHOUSE_PUBLIC_URL", "house.example", "must begin with http:// or https://"),
        ("TRAINHOUSE_CONDA_FALLBACK", "maybe", "TRAINHOUSE_CONDA_FALLBACK is 'maybe'; it must be one of pypi, off"),
        ("TRAINHOUSE_CONDA_CHANNELS", " , ", "TRAINHOUSE_CONDA_CHANNELS is empty"),
        ("TRAINHOUSE_CONDA_CHANNELS", "../lab", "names '../lab', which is neither a channel's name"),
        ("TRAINHOUSE_CONDA_CHANNELS", "ftp://house.example/lab", "begins with https://, http:// or file://"),
        ("TRAINHOUSE_CONDA_CHANNELS", "https://me:word@house.example/lab", "house.example with a user, a password"),
        ("TRAINHOUSE_CONDA_CHANNELS", "https://house.example/t/abc/lab", "or a token"),
        ("TRAINHOUSE_CONDA_CHANNEL_ALIAS", "house.example", "TRAINHOUSE_CONDA_CHANNEL_ALIAS names 'house.example'"),
        ("TRAINHOUSE_PROT", "8000", "TRAINHOUSE_PROT is set, but there is no such setting. Known: .*TRAINHOUSE_PORT"),
        ("TRAINHOUSE_SECRET_KEY_FILE", "/nowhere/key", "/nowhere/key, which cannot be read: No such file"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_name_and_value(variable, text, words):
    with pytest.raises(SettingError, match=words):
        read({variable: text})


def test_a_secret_may_come_from_a_file(tmp_path):
    (tmp_path / "key").write_text("s3cret\n")
    assert read({"TRAINHOUSE_SECRET_KEY_FILE": str(tmp_path / "key")}).secret_key == "s3cret"


def test_the_switches_of_tests_and_parts_are_no_settings():
    assert read({"TRAINHOUSE_CI": "1", "TRAINHOUSE_PART": "web"}).port == Env().port


def test_a_relative_data_folder_becomes_absolute():
    assert read({"TRAINHOUSE_DATA_DIR": "house"}).data_dir == Path.cwd() / "house"
