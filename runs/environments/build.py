"""Building an environment: resolve, create, install, compile, seal, mark.

Every command runs with a build's rights through the backend. The environment is built at its final path, since virtual
environments do not relocate; what counts is the mark, which the server writes last.
"""

import errno
import fcntl
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from compute.backends.base import ComputeBackend
from compute.errors import TargetUnreachable
from compute.registry import backend_of
from runs.dispatch import BUILD_TIMEOUT_S
from runs.environments.failures import failure_sentence
from runs.environments.interpreters import interpreter_same
from runs.environments.lock import LockReader, lock_packages, lock_restricted
from runs.environments.output import BuildOutput
from runs.environments.progress import Downloads, Progress
from runs.environments.realised import environment_is_intact, intact_mark, mark_remove, mark_write, size_on_disk
from runs.environments.request import spec_addresses, spec_packages
from runs.environments.toolbox import build_environ, uv_cache, uv_program
from runs.errors import EnvironmentFailed
from runs.models import Environment
from runs.states import EnvironmentState

logger = logging.getLogger(__name__)

#: A build ends before its job would be ended, so that it can say why.
DEADLINE_S = BUILD_TIMEOUT_S - 120.0
REMOVE_WITHIN_S = 10.0


def environment_build(environment_id: int) -> Environment:
    """Builds the environment unless it is there, and returns its row: READY, FAILED with the reason in ``error``, or
    BUILDING when another process is at it (this one does not wait).

    Idempotent. A FAILED environment stays as it is: ``environment_request`` orders it anew. What a killed builder left
    is removed and built again; what lies there whole is taken as it is. Raises TargetUnreachable, with the environment
    REQUESTED again.
    """
    environment = Environment.objects.select_related("target").get(pk=environment_id)
    with environment_lock(environment) as mine:
        if not mine:
            return environment
        environment.refresh_from_db()
        if environment.state == EnvironmentState.FAILED:
            return environment
        if environment.state == EnvironmentState.READY and environment_is_intact(environment):
            return environment
        _Build(environment).run()
    environment.refresh_from_db()
    return environment


def environment_is_being_built(environment: Environment) -> bool:
    """Whether a living process builds this environment now."""
    with environment_lock(environment) as mine:
        return not mine


@contextmanager
def environment_lock(environment: Environment) -> Iterator[bool]:
    """True while this process alone may build environments of this digest, False when another does. The death of the
    holder frees the lock; it is not inherited by what the holder starts. Targets that share their environments' folder
    share the lock."""
    folder = settings.DATA_DIR / "tmp" / "locks"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder / f"environment-{environment.digest}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


class _Build:
    """One build, under the environment's lock."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.backend: ComputeBackend = backend_of(environment.target)
        self.path: Path = self.backend.environment_root() / environment.digest
        self.environ = build_environ(os.environ)
        self.output = BuildOutput(environment, environ=os.environ)
        self.progress = Progress(environment)
        self.ends_at = time.monotonic() + DEADLINE_S

    def run(self) -> None:
        """Brings the environment to READY or FAILED."""
        self._write(state=EnvironmentState.BUILDING, error="", build_count=self.environment.build_count + 1)
        try:
            self._steps()
        except TargetUnreachable:
            self._write(state=EnvironmentState.REQUESTED)
            raise
        except EnvironmentFailed as error:
            self._fail(str(error))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                self._fault(error)
            else:
                self._fail(failure_sentence(os.strerror(errno.ENOSPC), what="Building", code=1))
        except Exception as error:
            self._fault(error)
        finally:
            shutil.rmtree(self._handed_over, ignore_errors=True)
            self.output.close()

    def _steps(self) -> None:
        mark = intact_mark(self.path, self.environment.digest)
        if mark is not None:
            self.output.say("It was built before and lies there whole.")
        else:
            mark = self._realise()
        self.progress.say("ready", "Ready", done=1, total=1)
        self._write(
            state=EnvironmentState.READY,
            lock=mark["lock"],
            path=str(self.path),
            size_bytes=mark["size_bytes"],
            python_version=mark["python"],
            ready_at=timezone.now(),
        )
        self.output.say(f"Ready: {len(lock_packages(mark['lock']))} packages, {mark['size_bytes'] / 1e6:,.0f} MB")

    def _realise(self) -> dict[str, Any]:
        """Builds, seals and marks; returns the mark."""
        spec = self.environment.spec
        self.progress.say("resolve", "Resolving the packages")
        interpreter = interpreter_same(self.backend, spec["python"])
        self._remove()
        self.output.say(f"Python {interpreter.version} at {interpreter.path}")
        self._introduce()
        lock = self._resolve(interpreter.path)
        self._create(interpreter.path)
        self._install(lock)
        self.progress.say("seal", "Closing the environment to writers")
        self.backend.seal(self.path)
        mark = {
            "digest": self.environment.digest,
            "python": interpreter.version,
            "size_bytes": size_on_disk(self.path),
            "lock": lock,
        }
        mark_write(self.path, mark)
        return mark

    def _introduce(self) -> None:
        framework = self.environment.spec["framework"]
        if framework["pinned_by"] == "user":
            self.output.say(f"TensorFlow as pinned by the run: {', '.join(framework['requirements'])}")
        for name in self.environment.spec["added"]:
            self.output.say(f"Added by the platform: {name}")

    def _resolve(self, python: Path) -> str:
        spec = self.environment.spec
        lock = LockReader(spec_addresses(spec))
        words = ["pip", "compile", "--python", str(python), "--generate-hashes", "--no-header", "--no-annotate"]
        for option in ("constraints", "overrides"):
            if spec.get(option):
                words += [f"--{option}", self._hand_over(f"{option}.in", "\n".join(spec[option]) + "\n")]
        wishes = self._hand_over("requirements.in", "\n".join(spec_packages(spec)) + "\n")
        self._command([*words, wishes], what="Resolving the packages", each_line=lock.line)
        return lock_restricted(lock.text(), spec.get("hashes", {}))

    def _create(self, python: Path) -> None:
        self.progress.say("create", "Creating the environment")
        self._command(["venv", "--quiet", "--python", str(python), str(self.path)], what="Creating the environment")

    def _install(self, lock: str) -> None:
        packages = len(lock_packages(lock))
        self.progress.say("download", f"Fetching {packages} packages")
        locked = self._hand_over("requirements.txt", lock)
        with Downloads(progress=self.progress, cache=uv_cache(), packages=packages) as downloads:

            def each_line(line: str) -> bool:
                downloads.line(line)
                return True

            python = str(self.path / "bin" / "python")
            self._command(
                ["pip", "sync", "--python", python, "--require-hashes", "--compile-bytecode", locked],
                what="Installing the packages",
                each_line=each_line,
            )

    def _command(self, words: list[str], *, what: str, each_line: Callable[[str], bool] = lambda line: True) -> None:
        """Runs uv; its output goes to the stream. Raises EnvironmentFailed with the reason when it fails."""
        output = self.output.reader(each_line=each_line)
        command = self.backend.build_command([str(uv_program()), *words], environ=self.environ)
        try:
            code = command.run(output=output.write, timeout_s=max(1.0, self.ends_at - time.monotonic()))
        except TimeoutError as error:
            raise EnvironmentFailed(f"{what} took too long: a build may take {DEADLINE_S / 60:.0f} minutes.") from error
        finally:
            output.finish()
        if code != 0:
            raise EnvironmentFailed(failure_sentence(output.tail, what=what, code=code))

    def _hand_over(self, name: str, text: str) -> str:
        """A file that builds can read and cannot change; the server never writes below a folder of theirs."""
        for folder in (self._handed_over.parent, self._handed_over):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)  # whatever the server's umask is
        path = self._handed_over / name
        path.write_text(text)
        path.chmod(0o644)
        return str(path)

    @property
    def _handed_over(self) -> Path:
        folder: Path = settings.DATA_DIR / "tools" / "builds" / self.environment.digest
        return folder

    def _remove(self) -> None:
        """Removes what an earlier build left at this path, sealed or not."""
        if not self.path.exists():
            return
        self.output.say("Removing what an earlier build left")
        mark_remove(self.path)
        give_up_at = time.monotonic() + REMOVE_WITHIN_S
        while True:
            try:
                self.backend.unseal_and_remove(self.path)
                return
            except OSError:
                # The commands of a builder that was killed die a moment after it, and may still be writing.
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(0.2)

    def _fail(self, sentence: str) -> None:
        self.output.say(f"Failed: {sentence}")
        self._write(state=EnvironmentState.FAILED, error=sentence)

    def _fault(self, error: Exception) -> None:
        reference = uuid.uuid4().hex[:8]
        logger.exception("Fault %s in a build", reference, extra={"environment": self.environment.pk})
        self._fail(
            f"The platform failed while building ({type(error).__name__}). The server's log has it under reference "
            f"{reference}. Submit again to try again."
        )

    def _write(self, **values: object) -> None:
        Environment.objects.filter(pk=self.environment.pk).update(state_since=timezone.now(), **values)
