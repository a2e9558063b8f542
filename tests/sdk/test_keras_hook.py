"""An unmodified ``model.fit`` reports, in Keras 3 and tf_keras alike; the script never notices."""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
from pathlib import Path

import pytest

SDK = Path(__file__).parents[2] / "sdk"
SCENARIOS = Path(__file__).with_name("keras_scenarios.py")


class Trained:
    """What ``keras_scenarios.py`` did with one library."""

    def __init__(self, library: str, python: Path, folder: Path):
        self.library = library
        points = folder / "points"
        done = subprocess.run(
            [str(python), str(SCENARIOS), library],
            capture_output=True,
            text=True,
            cwd=folder,
            timeout=240,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": f"{SDK / 'trainhouse' / 'hook'}{os.pathsep}{SDK}",
                "PYTHONDONTWRITEBYTECODE": "1",
                "TRAINHOUSE_KERAS_METRICS": "1",
                "TRAINHOUSE_POINTS": str(points),
                "TRAINHOUSE_RANK": "0",
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "CUDA_VISIBLE_DEVICES": "-1",
            },
        )
        assert done.returncode == 0, done.stderr[-4000:]
        self.errors = done.stderr
        self._results = json.loads(done.stdout.splitlines()[-1])
        self._records = [json.loads(line) for line in points.read_text().splitlines()]

    def seen(self, scenario: str) -> dict:
        return self._results[scenario]["seen"]

    def records(self, scenario: str) -> list[dict]:
        first, end = self._results[scenario]["lines"]
        return self._records[first:end]

    def points(self, scenario: str, name: str) -> list[tuple[int, float]]:
        return [
            (step, value)
            for record in self.records(scenario)
            if record["k"] == "points"
            for series, step, _, value in record["p"]
            if series == name
        ]

    def steps(self, scenario: str, name: str = "loss") -> list[int]:
        return [step for step, _ in self.points(scenario, name)]

    def progress(self, scenario: str) -> list[dict]:
        return [record for record in self.records(scenario) if record["k"] == "progress"]


@pytest.fixture(scope="module", params=["keras", "tf_keras"])
def trained(request, training_python, tmp_path_factory) -> Trained:
    return Trained(request.param, training_python, tmp_path_factory.mktemp(request.param))


def test_every_epoch_reports_all_that_keras_knows(trained):
    names = {name for record in trained.records("plain") if record["k"] == "points" for name, *_ in record["p"]}

    assert names >= {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "batch/loss", "batch/accuracy"}
    assert trained.steps("plain") == trained.steps("plain", "val_accuracy") == [1, 2, 3]
    assert [value for _, value in trained.points("plain", "loss")] == pytest.approx(trained.seen("plain")["loss"])
    assert trained.points("plain", "learning_rate")[0][1] == pytest.approx(0.001)
    assert trained.seen("plain")["keys"] == ["accuracy", "loss", "val_accuracy", "val_loss"]


def test_progress_says_epoch_and_batch_and_ends_with_nothing_left(trained):
    progress = trained.progress("plain")

    assert [one["epoch"] for one in progress] == [1, 1, 2, 3, 3]
    assert {one["epochs"] for one in progress} == {3}
    assert {one["batches"] for one in progress} == {6}
    assert progress[-1]["batch"] == 6
    assert progress[1]["eta_s"] > 0
    assert progress[-1]["eta_s"] == 0


def test_a_second_fit_goes_on_counting_and_initial_epoch_is_respected(trained):
    assert trained.steps("second") == [4, 5]
    assert trained.steps("continued") == [6, 7]
    first, again = trained.steps("plain", "batch/loss"), trained.steps("second", "batch/loss")
    assert first == [1]
    assert again == [19]
    assert [one["epoch"] for one in trained.progress("continued")] == [6, 6, 7, 7]


def test_a_model_with_a_train_step_of_its_own_reports_its_own_logs(trained):
    assert trained.points("own_train_step", "mine")[0][1] == 2.5


def test_a_fit_that_calls_the_inherited_one_reports_once(trained):
    assert trained.steps("own_fit") == [9, 10]


def test_the_scripts_callbacks_are_called_and_its_lists_stay_as_they_were(trained):
    assert trained.seen("callbacks_kept") == {
        "list": 1,
        "tuple": 1,
        "batches": 32,
        "epochs": 4,
        "ours_in_container": 1,
    }
    assert trained.steps("callbacks_kept") == [11, 12, 13, 14]


def test_a_fit_within_a_fit_is_left_alone(trained):
    assert trained.steps("nested") == [15]


def test_the_scripts_own_errors_reach_it_unchanged_and_the_next_fit_reports(trained):
    seen = trained.seen("mistakes_stay_the_scripts")

    assert "nonsense" in seen["message"]
    assert seen["cut"] == "'cut'"
    assert trained.steps("after_the_cut") == [16]


def test_a_fit_that_stops_early_has_nothing_left(trained):
    assert trained.progress("stopped_early")[-1]["eta_s"] == 0
    assert trained.progress("stopped_early")[-1]["epoch"] == 2


def test_other_ranks_are_silent(trained):
    assert trained.records("other_rank") == []


def test_several_steps_in_one_execution_are_counted_in_batches(trained):
    assert trained.progress("several_steps_at_once")[-1]["batch"] == 8


def test_batches_report_about_once_a_second(trained):
    steps = trained.steps("slow_batches", "batch/loss")
    walls = [
        record["p"][0][2]
        for record in trained.records("slow_batches")
        if record["k"] == "points" and record["p"][0][0].startswith("batch/")
    ]

    assert 2 <= len(steps) <= 4
    assert all(later - sooner >= 0.95 for sooner, later in itertools.pairwise(walls))
    middle = trained.progress("slow_batches")[1]
    assert (middle["batches"], middle["epochs"]) == (16, 1)
    assert 0 < middle["eta_s"] < 5


def test_a_loss_that_is_no_number_is_reported_as_such(trained):
    assert math.isnan(trained.points("not_a_number", "loss")[0][1])


def test_models_are_saved_copied_and_described_as_ever(trained):
    seen = trained.seen("models_unaffected")

    assert seen["difference"] == 0
    assert len(set(seen["copies"])) == 1
    assert (seen["name"], seen["signature"]) == ("fit", ["self", "x", "y", "batch_size"])


def test_our_own_failure_is_one_line_on_stderr_and_the_training_goes_on(trained):
    assert trained.seen("our_own_failure") == {"epochs": 3}
    assert trained.errors.count("trainhouse:") == 1
    assert "trainhouse: automatic Keras metrics are off: ZeroDivisionError" in trained.errors
