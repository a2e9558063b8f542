"""System checks: settings that would hurt together."""

import pytest

from config import checks
from config.env import Env


@pytest.mark.parametrize(
    ("values", "ids"),
    [
        ({}, []),
        ({"debug": True}, []),
        ({"host": "localhost", "debug": True}, []),
        ({"host": "::1"}, []),
        ({"host": "0.0.0.0"}, ["trainhouse.W001"]),
        ({"host": "0.0.0.0", "public_url": "http://house.example"}, ["trainhouse.W001"]),
        ({"host": "10.0.0.5", "public_url": "https://house.example"}, []),
        ({"host": "0.0.0.0", "debug": True}, ["trainhouse.E001", "trainhouse.W001"]),
    ],
)
def test_what_the_network_could_see(tmp_path, values, ids):
    assert [problem.id for problem in checks.exposure_problems(Env(data_dir=tmp_path, **values))] == ids


def test_a_key_that_others_can_read_is_an_error(tmp_path):
    env = Env(data_dir=tmp_path)
    assert checks.key_problems(env) == []
    (tmp_path / "secret.key").touch(mode=0o600)
    assert checks.key_problems(env) == []
    (tmp_path / "secret.key").chmod(0o644)
    assert [problem.id for problem in checks.key_problems(env)] == ["trainhouse.E002"]
