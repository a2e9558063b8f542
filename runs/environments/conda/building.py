"""The steps of a build that has conda packages: solve, install, and pip's packages on top.

Python comes from the channels where they have one, else it is the machine's in a virtual environment at the same place.
pip's resolver is told what conda has installed, so that it takes that and replaces none of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runs.environments.conda.channels import channel_shown
from runs.environments.conda.plan import python_missing
from runs.environments.conda.records import CondaRecord, conda_record, lock_conda, with_conda
from runs.environments.conda.running import conda_run
from runs.environments.installing import venv_create
from runs.environments.interpreters import Interpreter, interpreter_at
from runs.environments.packages import FRAMEWORKS
from runs.environments.resolving import Beside
from runs.environments.toolbox import build_tmp
from runs.environments.workshop import Workshop
from runs.errors import EnvironmentFailed

#: Packages of conda that would lie where PyPI's TensorFlow is installed.
_FRAMEWORKS = FRAMEWORKS | {"tensorflow-base"}
_PYTHON = "python"


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaInstalled:
    """What conda has put into the environment. ``interpreter`` is the one that the environment stands on;
    ``beside`` tells pip's resolver, None where nothing is resolved."""

    records: Sequence[CondaRecord]
    interpreter: Interpreter
    beside: Beside | None

    def in_lock(self, lock: str) -> str:
        """``lock`` with the records."""
        return with_conda(lock, self.records)


@contextmanager
def conda_installed(workshop: Workshop, interpreter: Interpreter) -> Iterator[CondaInstalled | None]:
    """The build's place with an interpreter and what conda brings: what the lock has, or what is solved. None when
    nothing comes from conda. Raises EnvironmentFailed with the reason."""
    if not _is_asked(workshop):
        yield None
        return
    records = lock_conda(workshop.lock) or _solved(workshop, interpreter)
    has_python = any(record.name == _PYTHON for record in records)
    if not has_python:
        _check_own_python(workshop, interpreter)
        venv_create(workshop, interpreter.path)
    wheels = build_tmp() / f"conda-{workshop.environment.digest[:16]}"
    found = _install(workshop, interpreter, records, wheels=None if workshop.lock else wheels)
    stands_on = _own_python(workshop) if has_python else interpreter
    beside = None if workshop.lock else Beside(wheels=wheels, versions=found)
    try:
        yield CondaInstalled(records=records, interpreter=stands_on, beside=beside)
    finally:
        if beside is not None:
            workshop.command(["/bin/rm", "-rf", "--", str(wheels)], what="Clearing up after the conda packages")


def _is_asked(workshop: Workshop) -> bool:
    if workshop.lock:
        return bool(lock_conda(workshop.lock))
    conda = workshop.spec.get("conda")
    return conda is not None and "instead" not in conda


def _solved(workshop: Workshop, interpreter: Interpreter) -> list[CondaRecord]:
    conda = workshop.spec["conda"]
    found: list[dict[str, Any]] = []
    workshop.say(f"Conda channels: {', '.join(channel_shown(address) for address in conda['channels'])}")
    order = {
        "action": "solve",
        "channels": conda["channels"],
        "specs": conda["packages"],
        "python": "|".join(f"{minor}.*" for minor in conda["pythons"]),
        "python_specs": [f"{_PYTHON} {expression}" for expression in conda["python"] if expression],
    }
    conda_run(
        workshop,
        interpreter.path,
        order,
        what="Solving the conda packages",
        answers=lambda kind, value: found.append(value) if kind == "record" else None,
    )
    _check_framework(found)
    records = [conda_record(facts, conda["channels"]) for facts in found]
    for record in sorted(records, key=lambda record: record.name):
        workshop.say(f" + {record.name} {record.version} {record.build} (conda)")
    return records


def _install(
    workshop: Workshop, interpreter: Interpreter, records: Sequence[CondaRecord], *, wheels: Path | None
) -> dict[str, str]:
    """The Python distributions among ``records``, by name, when ``wheels`` is where to describe them."""
    workshop.progress.say("create", f"Installing {len(records)} conda packages")
    found: dict[str, str] = {}
    order = {
        "action": "install",
        "channels": list(dict.fromkeys(record.channel for record in records)),
        "prefix": str(workshop.path),
        "wheels": str(wheels) if wheels else "",
        "records": [
            {name: getattr(record, name) for name in ("name", "version", "build", "url", "sha256")}
            for record in records
        ],
    }

    def answers(kind: str, value: Any) -> None:
        if kind == "progress":
            workshop.progress.say("create", f"Installing {value['total']} conda packages", **value)
        elif kind == "distribution":
            found[value["name"]] = value["version"]

    conda_run(workshop, interpreter.path, order, what="Installing the conda packages", answers=answers)
    workshop.say(f"Installed {len(records)} packages from conda")
    return found


def _own_python(workshop: Workshop) -> Interpreter:
    found = interpreter_at(workshop.backend, workshop.python)
    if found is None:
        raise EnvironmentFailed("The Python that the conda channels gave does not run on this machine.")
    return found


def _check_framework(found: list[dict[str, Any]]) -> None:
    for facts in found:
        if facts["name"] in _FRAMEWORKS:
            users = sorted(each["name"] for each in found if facts["name"] in each["depends"])
            raise EnvironmentFailed(
                f"The conda package {', '.join(users)} brings conda's {facts['name']}, and TensorFlow comes from PyPI: "
                f"two of them would overwrite each other. Name {', '.join(users)} under pip packages."
            )


def _check_own_python(workshop: Workshop, interpreter: Interpreter) -> None:
    conda = workshop.spec.get("conda", {})
    if conda.get("python") and interpreter.minor not in conda["pythons"]:
        raise EnvironmentFailed(
            f"The conda channels have no Python. {python_missing(interpreter, tuple(conda['python']))}"
        )
