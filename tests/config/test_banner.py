"""What a start prints."""

import getpass

import pytest

from config.env import Env
from config.up import banner


def test_addresses_stand_alone_on_their_lines_so_that_they_can_be_copied(tmp_path):
    facts = {"warnings": [], "signin_path": "/accounts/link/abc/", "demos": [("/runs/1/", True)]}
    lines = [line.strip() for line in banner.ready(Env(data_dir=tmp_path), facts, environ={}).splitlines()]
    assert "Trainhouse is ready:  http://127.0.0.1:8000" in lines
    assert "http://127.0.0.1:8000/accounts/link/abc/" in lines
    assert "http://127.0.0.1:8000/runs/1/" in lines
    assert not any("ssh" in line for line in lines)


def test_an_example_that_still_runs_is_told_apart(tmp_path):
    facts = {"demos": [("/runs/1/", False)]}
    assert "still running" in banner.ready(Env(data_dir=tmp_path), facts, environ={})


@pytest.mark.parametrize(
    ("values", "connection", "line"),
    [
        ({}, "10.0.0.9 50000 10.0.0.5 22", "ssh -L 8000:127.0.0.1:8000 {user}@10.0.0.5"),
        ({"port": 8001}, "10.0.0.9 50000 10.0.0.5 2222", "ssh -p 2222 -L 8001:127.0.0.1:8001 {user}@10.0.0.5"),
        ({"host": "0.0.0.0"}, "10.0.0.9 50000 10.0.0.5 22", "ssh -L 8000:127.0.0.1:8000 {user}@10.0.0.5"),
        ({"public_url": "https://house.example"}, "10.0.0.9 50000 10.0.0.5 22", ""),
        ({}, "", ""),
    ],
)
def test_over_ssh_the_tunnel_is_printed(tmp_path, values, connection, line):
    env = Env(data_dir=tmp_path, **values)
    assert banner.ssh_line(env, {"SSH_CONNECTION": connection}) == line.format(user=getpass.getuser())


def test_the_end_says_what_goes_on():
    assert banner.goodbye(0) == "Stopping. No run is active."
    assert "1 run is active" in banner.goodbye(1)
    assert "2 runs are active; start again to watch" in banner.goodbye(2)
