"""What would make every launch fail is said before the first one."""

import dataclasses
import tempfile
from pathlib import Path

import pytest

from compute.checks import check_local_target


def problems() -> list[str]:
    return [problem.msg for problem in check_local_target(None)]


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
