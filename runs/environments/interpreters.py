"""Which Python an environment is built on.

Only interpreters that are on the machine count, nothing is downloaded. Each candidate is really run, with a build's
rights: a Python below a closed home folder exists for the server but not for the user that builds and runs.
"""

import glob
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from compute.backends.base import ComputeBackend
from runs.errors import EnvironmentFailed

#: In this order among Pythons of one minor version.
PLACES = (
    "/usr/bin",
    "/usr/local/bin",
    "/opt/*/bin",
    "/opt/python/*/bin",
    "~/.local/share/uv/python/cpython-*/bin",
    "~/.pyenv/versions/*/bin",
)
PROBE_TIMEOUT_S = 30.0
ANSWER_KEPT_S = 60.0

#: What two Pythons of a minor version have to share for the same wheels to fit both.
_SAME_PACKAGES = ("implementation", "soabi", "machine", "system")

_NAME = re.compile(r"python3\.(\d+)")
_PROBE = (
    "import json, os, platform, sys, sysconfig\n"
    "print(json.dumps({'path': getattr(sys, '_base_executable', None) or sys.executable,"
    " 'version': platform.python_version(), 'implementation': sys.implementation.name,"
    " 'soabi': sysconfig.get_config_var('SOABI') or '', 'machine': platform.machine(),"
    " 'system': sys.platform, 'libc': ' '.join(platform.libc_ver())}))"
)


#: What Pythons have said of themselves, and until when that holds.
_answers: "dict[tuple[object, ...], tuple[Interpreter, float]]" = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python that builds can run. Everything but ``path`` identifies it wherever it lies."""

    path: Path
    version: str
    implementation: str
    soabi: str
    machine: str
    system: str
    libc: str

    @property
    def minor(self) -> str:
        """The version as ``3.11``."""
        return ".".join(self.version.split(".")[:2])

    @property
    def identity(self) -> dict[str, str]:
        """What of it decides an environment's digest."""
        return {
            "implementation": self.implementation,
            "version": self.version,
            "soabi": self.soabi,
            "machine": self.machine,
            "system": self.system,
            "libc": self.libc,
        }


def interpreter_choose(backend: ComputeBackend, pythons: Sequence[str], *, wanted_by: str) -> Interpreter:
    """The newest usable Python among ``pythons`` (minor versions); the first of ``PLACES`` among equals, the server's
    own last. ``wanted_by`` names what asks, for the message. Raises EnvironmentFailed when there is none."""
    tried: list[str] = []
    for candidate, minor in _candidates(pythons):
        found = _remembered(backend, candidate)
        if found is not None and found.minor == minor and found.implementation == "cpython":
            return found
        tried.append(str(candidate))
    looked = f"Found, but the user that builds cannot run it: {', '.join(tried)}." if tried else "None was found."
    wanted = " or ".join(pythons)
    raise EnvironmentFailed(
        f"{wanted_by} needs Python {wanted} on the machine, in {', '.join(PLACES[:2])} or another usual place. "
        f"{looked} Install one for everybody, for example Debian's package python{pythons[-1]} or python3 "
        "(apt-get install python3), and submit again."
    )


def interpreter_same(backend: ComputeBackend, identity: dict[str, str]) -> Interpreter:
    """The usable Python with this identity, wherever it lies. Raises EnvironmentFailed when it is gone."""
    minor = ".".join(identity["version"].split(".")[:2])
    for candidate, _ in _candidates([minor]):
        found = _remembered(backend, candidate)
        if found is not None and found.identity == identity:
            return found
    raise EnvironmentFailed(
        f"Python {identity['version']}, which this environment stands on, is not on the machine any more. "
        "Submit the run again: it takes the Python that is there now."
    )


def interpreter_again(backend: ComputeBackend, identity: dict[str, str]) -> Interpreter:
    """The usable Python with this identity or, when it is gone, the first whose compiled packages are the same: the
    same minor version, ABI and machine. Raises EnvironmentFailed when there is none."""
    minor = ".".join(identity["version"].split(".")[:2])
    found = [probed for path, _ in _candidates([minor]) if (probed := _remembered(backend, path)) is not None]
    same = [each for each in found if each.identity == identity]
    near = [each for each in found if all(each.identity[key] == identity[key] for key in _SAME_PACKAGES)]
    for interpreter in [*same, *near]:
        if interpreter.minor == minor:
            return interpreter
    raise EnvironmentFailed(
        f"The lock was made on Python {identity['version']}, and no Python {minor} for {identity['machine']} is on the "
        f"machine any more. Install one for everybody, for example Debian's package python{minor}, or run again with "
        "updated packages, which takes the Python that is there now."
    )


def _candidates(pythons: Sequence[str]) -> Iterator[tuple[Path, str]]:
    """Interpreters of these minor versions by their names, newest first; each real file once."""
    seen: set[str] = set()
    for minor in sorted(pythons, key=lambda minor: int(minor.split(".")[1]), reverse=True):
        for path in _named(minor):
            real = os.path.realpath(path)
            if real not in seen and os.path.isfile(real):
                seen.add(real)
                yield Path(path), minor


def _named(minor: str) -> Iterator[str]:
    for place in PLACES:
        for folder in sorted(glob.glob(os.path.expanduser(place))):
            yield os.path.join(folder, f"python{minor}")
            link = os.path.join(folder, "python3")
            if _NAME.fullmatch(os.path.basename(os.path.realpath(link))) and os.path.realpath(link).endswith(minor):
                yield link
    if minor == f"{sys.version_info.major}.{sys.version_info.minor}":
        yield getattr(sys, "_base_executable", "") or sys.executable


def _remembered(backend: ComputeBackend, path: Path) -> Interpreter | None:
    """As ``interpreter_at``. An answer holds for a minute, as long as the file is the same one."""
    try:
        facts = os.stat(path)
    except OSError:
        return None
    key = (backend.environment_root(), path, facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns)
    found, until = _answers.get(key, (None, 0.0))
    if found is None or time.monotonic() > until:
        found = interpreter_at(backend, path)
        if found is not None:
            _answers[key] = (found, time.monotonic() + ANSWER_KEPT_S)
    return found


def interpreter_at(backend: ComputeBackend, path: Path) -> Interpreter | None:
    """What the interpreter says of itself when it is run with a build's rights, or None when it does not run."""
    answer = bytearray()
    command = backend.build_command([str(path), "-I", "-S", "-c", _PROBE], environ={})
    try:
        code = command.run(output=answer.extend, timeout_s=PROBE_TIMEOUT_S)
        facts = json.loads(answer.splitlines()[-1]) if code == 0 else None
        return None if facts is None else Interpreter(**{**facts, "path": Path(facts["path"])})
    except PermissionError as error:
        raise EnvironmentFailed(str(error)) from error  # no build at all can run here; the backend says why
    except (OSError, TimeoutError, ValueError, IndexError, TypeError, KeyError):
        return None
