"""Building an environment: one builder at a time, and whatever happens a state with its reason.

``realise`` has the steps, ``workshop`` what they work with.
"""

import errno
import fcntl
import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.utils import timezone

from compute.errors import TargetUnreachable
from runs.environments.difference import lock_versions
from runs.environments.failures import failure_sentence
from runs.environments.realise import realise
from runs.environments.realised import environment_is_intact, intact_mark
from runs.environments.workshop import Workshop
from runs.errors import EnvironmentFailed, EnvironmentUnchanged
from runs.models import Environment
from runs.states import EnvironmentState

logger = logging.getLogger(__name__)


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
        if environment.state in (EnvironmentState.FAILED, EnvironmentState.UNCHANGED):
            return environment
        if environment.state == EnvironmentState.READY and environment_is_intact(environment):
            return environment
        _Build(environment).run()
    environment.refresh_from_db()
    return environment


def environment_give_up(environment: Environment) -> bool:
    """FAILED, for one that was ordered and is built by nobody any more; whether it is. Unchanged when somebody has come
    to it since it was read."""
    with environment_lock(environment) as mine:
        if not mine:
            return False
        same = Environment.objects.filter(
            pk=environment.pk, state=environment.state, state_since=environment.state_since
        )
        error = "Its build was interrupted, and no run asks for it. Build it again when it is needed."
        return same.update(state=EnvironmentState.FAILED, state_since=timezone.now(), error=error) == 1


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
        self.workshop = Workshop(environment)

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
        except EnvironmentUnchanged:
            self.workshop.say("The index still gives the same versions: there is nothing to build")
            self._write(state=EnvironmentState.UNCHANGED)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                self._fault(error)
            else:
                self._fail(failure_sentence(os.strerror(errno.ENOSPC), what="Building", code=1))
        except Exception as error:
            self._fault(error)
        finally:
            self.workshop.close()

    def _steps(self) -> None:
        workshop = self.workshop
        mark = intact_mark(workshop.path, self.environment.digest)
        if mark is not None:
            workshop.say("It was built before and lies there whole.")
        else:
            mark = realise(workshop)
        workshop.progress.say("ready", "Ready", done=1, total=1)
        self._write(
            state=EnvironmentState.READY,
            lock=mark["lock"],
            path=str(workshop.path),
            size_bytes=mark["size_bytes"],
            python_version=mark["python"],
            ready_at=timezone.now(),
        )
        workshop.say(f"Ready: {len(lock_versions(mark['lock']))} packages, {mark['size_bytes'] / 1e6:,.0f} MB")

    def _fail(self, sentence: str) -> None:
        sentence = sentence.replace("\0", "�")  # what a package printed may hold one, and PostgreSQL takes none
        self.workshop.say(f"Failed: {sentence}")
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
