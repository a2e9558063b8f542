"""Our sitecustomize hands over to the one it stands in front of, and costs a script without Keras nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SDK = Path(__file__).parents[2] / "sdk"
HOOK = SDK / "trainhouse" / "hook"
WATCH = {"TRAINHOUSE_KERAS_METRICS": "1", "TRAINHOUSE_POINTS": "/dev/null"}


def python(code, *, path=(), **environ):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(map(str, [HOOK, SDK, *path])),
            "PYTHONDONTWRITEBYTECODE": "1",
            **environ,
        },
    )


@pytest.fixture
def own(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import builtins\nbuiltins.mine = __name__ + ' ' + __file__\n")
    return tmp_path


def test_a_sitecustomize_of_the_users_own_runs_in_its_own_name(own):
    done = python("import sitecustomize; print(mine); print(sitecustomize.__file__)", path=[own], **WATCH)

    assert done.stdout.splitlines() == [f"sitecustomize {own}/sitecustomize.py", f"{own}/sitecustomize.py"]
    assert done.stderr == ""


def test_a_broken_sitecustomize_is_reported_as_python_does_and_the_script_runs(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("raise RuntimeError('theirs')\n")
    done = python("print('ran')", path=[tmp_path], **WATCH)

    assert done.stdout == "ran\n"
    assert "RuntimeError: theirs" in done.stderr


def test_without_another_sitecustomize_nothing_is_said():
    done = python("print('ran')", **WATCH)

    assert (done.stdout, done.stderr) == ("ran\n", "")


def test_nothing_of_ours_is_loaded_until_keras_is():
    done = python("import sys; print([name for name in sys.modules if name.startswith('trainhouse')])", **WATCH)

    assert done.stdout == "[]\n"


def test_the_tick_switched_off_leaves_importing_alone():
    code = "import sys; print([type(finder).__name__ for finder in sys.meta_path if hasattr(finder, 'find_spec')])"

    assert "_Finder" in python(code, **WATCH).stdout
    assert "_Finder" not in python(code, TRAINHOUSE_POINTS="/dev/null").stdout
    assert "_Finder" not in python(code, TRAINHOUSE_KERAS_METRICS="1").stdout


def test_a_keras_that_looks_different_is_left_alone_with_one_line(tmp_path):
    """A module of that name without the class that is expected there: a future Keras."""
    module = tmp_path / "keras" / "src" / "backend" / "tensorflow" / "trainer.py"
    module.parent.mkdir(parents=True)
    for folder in [tmp_path / "keras", *(tmp_path / "keras" / "src").rglob(""), module.parent]:
        (folder / "__init__.py").touch()
    module.write_text("answer = 42\n")
    done = python(
        "import keras.src.backend.tensorflow.trainer as trainer; print(trainer.answer, trainer.__loader__,"
        " trainer.__spec__.loader)",
        path=[tmp_path],
        **WATCH,
    )

    assert done.stdout.startswith("42 <_frozen_importlib_external.SourceFileLoader")
    assert done.stdout.count("SourceFileLoader") == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("trainhouse: automatic Keras metrics are off: AttributeError")
