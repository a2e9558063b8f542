"""Running rattler with a build's rights: our program by a Python of the machine, its answers line by line."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.conf import settings

from runs.environments.conda.answers import AnswerReader
from runs.environments.conda.failures import conda_failure, crash_reason
from runs.environments.conda.program_text import PROGRAM
from runs.environments.workshop import Workshop
from runs.errors import EnvironmentFailed


def rattler_folder() -> Path:
    """A folder that holds the package rattler and that builds can read, copied from the server's own when missing.
    Safe against another process."""
    tools = settings.DATA_DIR / "tools"
    folder: Path = tools / f"rattler-{version('py-rattler')}"
    if folder.exists():
        return folder
    installed = find_spec("rattler")
    if installed is None or installed.origin is None:
        raise FileNotFoundError("The package rattler is not installed beside the server.")
    tools.mkdir(mode=0o755, parents=True, exist_ok=True)
    copy = Path(tempfile.mkdtemp(dir=tools))
    try:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(installed.origin).parent, copy / "rattler", ignore=ignored)
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)  # whatever the server's umask is
        os.rename(copy, folder)
    except OSError:
        if not folder.exists():  # another process was not faster
            raise
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    return folder


def rattler_cache() -> Path:
    """rattler's cache, on the file system of the environments so that files can be hardlinked; the build user's own."""
    path: Path = settings.DATA_DIR / "build" / "cache" / "rattler"
    return path


def conda_run(
    workshop: Workshop, python: Path, order: dict[str, Any], *, what: str, answers: Callable[[str, Any], None]
) -> None:
    """Runs one action of the program with ``python``. ``answers(kind, value)`` gets what it answers; its errors are
    raised as EnvironmentFailed, and whatever else it prints goes to the log."""
    reader = AnswerReader(answers)
    order = {**order, "rattler": str(rattler_folder()), "cache": str(rattler_cache())}
    argv = [
        *(str(python), "-I", "-S", "-B", workshop.hand_over("conda.py", PROGRAM)),
        workshop.hand_over("conda.json", json.dumps(order)),
    ]
    try:
        workshop.command(argv, what=what, each_line=reader.line)
    except EnvironmentFailed as error:
        if reader.crash:
            raise EnvironmentFailed(crash_reason(reader.crash, what=what)) from error
        raise
    if reader.error is not None and reader.crash:
        raise EnvironmentFailed(crash_reason(reader.crash, what=what))
    if reader.error is not None:
        kind, text = reader.error
        workshop.say(text)
        raise EnvironmentFailed(conda_failure(kind, text, order["channels"], what=what))
