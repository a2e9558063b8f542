"""What the steps of one build work with: the row, the place, the rights, the log, the progress."""

import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from compute.backends.base import ComputeBackend
from compute.registry import backend_of
from runs.dispatch import BUILD_TIMEOUT_S
from runs.environments.failures import failure_sentence
from runs.environments.lock_failures import lock_failure_sentence
from runs.environments.output import BuildOutput
from runs.environments.progress import Progress
from runs.environments.toolbox import apart_of, build_environ, handed_over_of, uv_program
from runs.errors import EnvironmentFailed
from runs.models import Environment

#: A build ends before its job would be ended, so that it can say why.
DEADLINE_S = BUILD_TIMEOUT_S - 120.0

#: What an earlier build left, and does not let itself be removed, is tried for so long.
REMOVE_WITHIN_S = 10.0

#: The largest package that is built from files.
MOST_TAKEN_BYTES = 2 * 1024**3


class Workshop:
    """One build's tools, to be used under the environment's lock. ``close`` gives back what was handed over."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.spec: dict[str, Any] = environment.spec
        self.backend: ComputeBackend = backend_of(environment.target)
        self.path: Path = self.backend.environment_root() / environment.digest
        self.environ = build_environ()
        self.output = BuildOutput(environment, environ=os.environ)
        self.progress = Progress(environment)
        self._ends_at = time.monotonic() + DEADLINE_S

    @property
    def lock(self) -> str:
        """The lock that this build has to reproduce; empty: the packages are resolved. What was built once is built
        again as it was, and an environment may be ordered by its lock in the first place."""
        return self.spec.get("lock") or self.environment.lock

    @property
    def time_left_s(self) -> float:
        """The seconds that this build may still take; negative when they are over."""
        return self._ends_at - time.monotonic()

    @property
    def python(self) -> Path:
        """The environment's own interpreter, there once the environment is created."""
        return self.path / "bin" / "python"

    @property
    def handed_over(self) -> Path:
        """The folder of what this build may read and not change."""
        return handed_over_of(self.environment.digest)

    @property
    def apart(self) -> str:
        """The name of this build's place apart, which is there for as long as a step needs it."""
        return apart_of(self.environment.digest)

    def say(self, sentence: str) -> None:
        """Writes a line of the platform's own into the build's log."""
        self.output.say(sentence)

    def uv(
        self,
        words: list[str],
        *,
        what: str,
        each_line: Callable[[str], bool] = lambda line: True,
        environ: Mapping[str, str] | None = None,
        apart: str = "",
    ) -> None:
        """Runs uv with these words, as ``command`` does."""
        self.command([str(uv_program()), *words], what=what, each_line=each_line, environ=environ, apart=apart)

    def command(
        self,
        argv: list[str],
        *,
        what: str,
        each_line: Callable[[str], bool] = lambda line: True,
        environ: Mapping[str, str] | None = None,
        apart: str = "",
    ) -> None:
        """Runs a command with a build's rights; its output goes to the log, but for the lines that ``each_line`` keeps
        back. ``environ`` comes on top of the build's variables. Raises EnvironmentFailed with the reason when it fails
        or the build's time is over; ``what`` names its purpose, such as "Installing the packages". ``apart`` is the
        place of the backend in which it runs, with a cache of its own."""
        output = self.output.reader(each_line=each_line)
        variables = {**self.environ, **(environ or {})}
        if apart:
            del variables["UV_CACHE_DIR"]
        command = self.backend.build_command(argv, environ=variables, apart=apart)
        try:
            code = command.run(output=output.write, timeout_s=max(1.0, self.time_left_s))
        except TimeoutError as error:
            raise EnvironmentFailed(f"{what} took too long: a build may take {DEADLINE_S / 60:.0f} minutes.") from error
        except PermissionError as error:
            raise EnvironmentFailed(str(error)) from error  # what builds may not enter; the backend says which
        finally:
            output.finish()
        if code != 0:
            missing = lock_failure_sentence(output.tail) if self.lock else ""
            raise EnvironmentFailed(missing or failure_sentence(output.tail, what=what, code=code))

    def hand_over(self, name: str, content: str | bytes) -> str:
        """The path of a file that builds can read and cannot change; the server never writes below a folder of
        theirs."""
        path = self.hand_over_folder() / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(0o644)
        return str(path)

    def take_over(self, path: Path, *, name: str, apart: str) -> Path:
        """Copies a file out of a place apart to where builds can read and not change it: that place's user reads it
        out, and the server opens nothing there. Raises EnvironmentFailed when it cannot be read, or is too large."""
        copy = self.hand_over_folder() / name
        left = MOST_TAKEN_BYTES
        with open(copy, "wb") as file:

            def write(piece: bytes) -> None:
                nonlocal left
                left -= len(piece)
                if left < 0:
                    raise EnvironmentFailed(f"{name} has more than {MOST_TAKEN_BYTES:,} bytes; a package may not.")
                file.write(piece)

            command = self.backend.build_command(["/bin/cat", "--", str(path)], environ={}, apart=apart)
            code = command.run(output=write, timeout_s=max(1.0, self.time_left_s))
        if code != 0:
            raise EnvironmentFailed(f"{name} is there and cannot be read: cat ended with {code}.")
        copy.chmod(0o644)
        return copy

    def hand_over_folder(self, name: str = "") -> Path:
        """A folder, new or there, that builds can read and cannot change, and runs cannot enter: a package of the
        source is its owner's. Without a name that of all handed over."""
        self.handed_over.parent.mkdir(exist_ok=True)
        self.handed_over.parent.chmod(0o755)  # whatever the server's umask is
        self.handed_over.mkdir(mode=0o700, exist_ok=True)
        os.chown(self.handed_over, -1, self.backend.environment_root().stat().st_gid)
        self.handed_over.chmod(0o750)
        folder = self.handed_over / name
        if name:
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)
        return folder

    def close(self) -> None:
        """Removes what was handed over and closes the log. Idempotent."""
        shutil.rmtree(self.handed_over, ignore_errors=True)
        self.output.close()
