"""The Horovod wheel of the tests: compiled once by the platform's own recipe, and a Python that has it.

Kept in the checkout as ``.venv-horovod``, beside ``.venv-training``, between test sessions: ``wheels/<key>`` has the
wheel, which is compiled anew when its key changes, and ``installed.json`` says what the Python was made of.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from compute.backends.local.backend import LocalBackend
from runs.environments.catalogue import shipped
from runs.environments.horovod.beside import beside_wheel
from runs.environments.horovod.compiling import wheel_compile
from runs.environments.horovod.key import WheelKey, python_of
from runs.environments.horovod.machine import machine_look, missing_to_compile
from runs.environments.horovod.operations import CPU, Operations
from runs.environments.horovod.recipe import TOOLS, recipe_revision
from runs.environments.horovod.store import Wheel, WheelStore
from runs.environments.interpreters import Interpreter, interpreter_at

ROOT = Path(__file__).resolve().parents[1]
UV = [sys.executable, "-m", "uv"]


class Bench:
    """Runs what a build runs as the user of the tests; ``folder`` takes what is handed over, ``log`` what is said."""

    progress = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"

    def say(self, sentence: str) -> None:
        with self.log.open("a") as log:
            log.write(f"{sentence}\n")

    def uv(self, words: list[str], *, what: str, environ: Mapping[str, str] | None = None) -> None:
        self.command([*UV, *words], what=what, environ=environ)

    def command(
        self,
        argv: list[str],
        *,
        what: str,
        each_line: Callable[[str], bool] = lambda line: True,
        environ: Mapping[str, str] | None = None,
        apart: str = "",
    ) -> None:
        assert not apart, "nothing of a run is here"
        with self.log.open("ab") as log:
            done = subprocess.run(argv, stdout=log, stderr=log, env={**os.environ, **(environ or {})}, check=False)
        if done.returncode != 0:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])
            raise AssertionError(f"{what} ended with {done.returncode}:\n{tail}")

    def hand_over(self, name: str, content: str | bytes) -> str:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)


def horovod_place(training_python: Path) -> Path:
    """Beside the training environment: in the checkout, or in a folder that all users may enter."""
    training = training_python.parents[1]
    return training.with_name(training.name.replace("training", "horovod"))


def horovod_install(training_python: Path) -> Path:
    """The Python with TensorFlow, Horovod and the module beside it. Two sessions at once: the second waits."""
    place = horovod_place(training_python)
    place.mkdir(exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wheel = _wheel(training_python, place)
        return _python(training_python, place, [wheel, beside_wheel(place / "wheels")])


def horovod_wheel(training_python: Path) -> Wheel:
    """The wheel that ``horovod_install`` has compiled."""
    wheel = WheelStore(horovod_place(training_python) / "wheels").find(training_key(training_python))
    assert wheel is not None
    return wheel


def training_key(training_python: Path) -> WheelKey:
    """The key of the wheel for the training environment's TensorFlow."""
    interpreter = _interpreter(training_python)
    machine = machine_look(LocalBackend.from_settings(), training_python)
    lacks = missing_to_compile(machine)
    assert not lacks, lacks
    tensorflow = _tensorflow(interpreter.machine)
    release = next((each for each in shipped() if each.version == tensorflow.split("==")[1]), None)
    assert release is not None
    assert release.horovod is not None
    return WheelKey(
        tensorflow=tensorflow,
        python=python_of(interpreter.identity),
        mpi=machine.mpi,
        operations=CPU,
        edits=release.horovod.edits,
        recipe=recipe_revision(),
    )


def _wheel(training_python: Path, place: Path) -> Wheel:
    """The wheel of this key, from an earlier time or compiled now."""
    store, key = WheelStore(place / "wheels"), training_key(training_python)
    found = store.find(key)
    if found is not None:
        return found
    with tempfile.TemporaryDirectory(prefix="th-horovod-") as work:
        compiled = wheel_compile(
            Bench(Path(work)),
            python=_interpreter(training_python).path,
            tensorflow=key.tensorflow,
            edits=key.edits,
            folder=Path(work) / "made",
            operations=Operations(name=CPU),
        )
        return store.keep(key, compiled.name, compiled.read_bytes())


def _python(training_python: Path, place: Path, wheels: list[Wheel]) -> Path:
    """A virtual environment of the wheels and what they need, with the training environment's packages behind it."""
    python = place / "bin" / "python"
    packages = next(training_python.parents[1].glob("lib/python3.*/site-packages"))
    stamp = {
        "packages": str(packages),
        "training": training_python.parents[1].joinpath("installed.json").read_text(),
        "tools": TOOLS.read_text(),
        "wheels": [wheel.sha256 for wheel in wheels],
    }
    stamp_path = place / "installed.json"
    if stamp_path.exists() and json.loads(stamp_path.read_text()) == stamp and python.exists():
        return python
    stamp_path.unlink(missing_ok=True)
    for name in ("bin", "lib", "lib64", "include"):
        folder = place / name
        folder.unlink() if folder.is_symlink() else shutil.rmtree(folder, ignore_errors=True)
    bench = Bench(place)
    base = str(_interpreter(training_python).path)
    bench.uv(["venv", "--quiet", "--allow-existing", "--python", base, str(place)], what="Making .venv-horovod")
    behind = next(place.glob("lib/python3.*/site-packages"))
    (behind / "training.pth").write_text(f"{packages}\n")
    wanted = bench.hand_over("wanted.txt", "".join([f"{wheel.requirement}\n" for wheel in wheels]) + TOOLS.read_text())
    bench.uv(
        ["pip", "install", "--quiet", "--python", str(python), "--require-hashes", "--compile-bytecode", "-r", wanted],
        what="Installing Horovod",
    )
    stamp_path.write_text(json.dumps(stamp))
    return python


def _interpreter(training_python: Path) -> Interpreter:
    found = interpreter_at(LocalBackend.from_settings(), training_python)
    assert found is not None, f"{training_python} cannot be run by the user that builds"
    return found


def _tensorflow(machine: str) -> str:
    """The TensorFlow of requirements/training.txt on this kind of machine: ``tensorflow-cpu==2.21.0``."""
    name = "tensorflow-cpu" if machine == "x86_64" else "tensorflow"
    match = re.search(rf"^{name}==([\w.]+)", (ROOT / "requirements" / "training.txt").read_text(), re.MULTILINE)
    assert match is not None
    return f"{name}=={match[1]}"
