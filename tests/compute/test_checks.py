"""What would make every launch fail is said before the first one."""

import dataclasses
import tempfile
from pathlib import Path

import pytest

from compute.backends.local import ports
from compute.checks import check_local_nodes, check_local_ports, check_local_target


def problems() -> list[str]:
    checks = (check_local_target, check_local_nodes, check_local_ports)
    return [problem.msg for check in checks for problem in check(None)]


def test_a_fresh_installation_has_nothing_to_say():
    assert problems() == []


def test_a_range_of_user_ids_that_cannot_be_used_is_said_with_its_value(settings):
    settings.ENV = dataclasses.replace(settings.ENV, run_user_ids="7")
    (message,) = problems()
    assert message.startswith("TRAINHOUSE_RUN_USER_IDS is '7'; it must be a range of at least two user ids")


@pytest.mark.needs("root")
def test_a_data_folder_that_runs_cannot_reach_is_said_with_the_folder_in_the_way(settings):
    with tempfile.TemporaryDirectory() as private:  # mode 700, below a folder that is open to all
        settings.DATA_DIR = Path(private) / "data"
        settings.DATA_DIR.mkdir()
        (message,) = problems()
    assert f"may not enter {private}," in message


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"local_nodes": 0}, "TRAINHOUSE_LOCAL_NODES is 0; it must be from 1 to 64."),
        ({"local_nodes": 1000}, "TRAINHOUSE_LOCAL_NODES is 1000; it must be from 1 to 64."),
        ({"local_simulated_gpus": 65}, "TRAINHOUSE_LOCAL_SIMULATED_GPUS is 65; it must be from 0 to 64."),
    ],
)
def test_a_layout_that_cannot_be_is_said_with_its_value(settings, change, sentence):
    settings.ENV = dataclasses.replace(settings.ENV, **change)
    assert problems() == [sentence]


@pytest.mark.parametrize("text", ["", "20000", "20000-20050", "27999-20000", "80-2000", "20000-70000", "a-b", "1-2-3"])
def test_ports_that_cannot_be_used_are_said_with_their_value(settings, text):
    settings.ENV = dataclasses.replace(settings.ENV, local_ports=text)
    (message,) = problems()
    assert message.startswith(f"TRAINHOUSE_LOCAL_PORTS is {text!r}; it must be a range of at least 100 ports")


def test_ports_that_others_use_too_are_warned_of(settings, monkeypatch, tmp_path):
    (tmp_path / "range").write_text("32768\t60999\n")
    monkeypatch.setattr(ports, "_OUTGOING", tmp_path / "range")
    settings.ENV = dataclasses.replace(settings.ENV, local_ports="30000-32768")
    (message,) = problems()
    assert "30000-32768, and Linux gives 32768-60999 to outgoing connections" in message
    settings.ENV = dataclasses.replace(settings.ENV, local_ports="7000-8999")
    (message,) = problems()
    assert "the platform itself listens at 8000" in message


def test_where_linux_does_not_say_which_ports_are_outgoing_nothing_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(ports, "_OUTGOING", tmp_path / "nothing")
    assert ports.outgoing_ports() is None
    assert problems() == []
