"""Removing environments from the disk, so that it can never take one away from a run.

A run first writes down that it needs an environment and then looks whether it is READY. A removal first takes READY
away and then looks who needs it. Both write before they read, so that of two at the same moment at least one sees the
other: the run builds anew, or the removal steps back. Builds are kept out by the environment's lock.

Targets that share their environments' folder have a row each for the same files; what one of them needs, none removes.
"""

import shutil
from datetime import datetime
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from compute.registry import backend_of
from runs.environments.build import environment_lock
from runs.environments.realised import intact_mark, mark_remove, remains_remove
from runs.environments.toolbox import apart_of, handed_over_of
from runs.environments.usage import runs_unfinished, with_last_use
from runs.errors import NotNow
from runs.models import Environment, Stream
from runs.states import EnvironmentState
from runs.stores.logs import log_delete

#: A removal that is resisted is tried for so long; it keeps a request or the supervisor waiting.
_REMOVE_WITHIN_S = 2.0
_MOST_NAMED = 5


def environment_evict(environment: Environment, *, unused_since: datetime) -> bool:
    """Removes the files of an environment that no unfinished run needs and nobody has used after ``unused_since``;
    False, and nothing changed, when it is needed, newer, or being built.

    Its row stays EVICTED, with its lock and its build's log, and is built again for the next run that needs it. Until
    the files are gone the row keeps its path, so that a removal that was cut short is taken up again.
    """
    folder = _folder(environment)
    with environment_lock(environment) as mine:
        if not mine:
            return False
        rows = list(Environment.objects.filter(digest=environment.digest, path=environment.path).exclude(path=""))
        if not rows or any(row.state not in (EnvironmentState.READY, EnvironmentState.EVICTED) for row in rows):
            return False
        _withdraw(rows, folder)
        if runs_unfinished(rows).exists() or _used_after(rows, unused_since):
            _give_back(rows)
            return False
        _files_remove(environment, folder)
        Environment.objects.filter(pk__in=[row.pk for row in rows]).update(path="")
    return True


def environment_delete(environment: Environment) -> None:
    """Removes an environment with its files, its build's log and its row. Runs that used it keep the lock that was
    written down for them.

    Raises NotNow, with the runs' names, while an unfinished run needs it, and while it is being built.
    """
    folder = _folder(environment)
    with environment_lock(environment) as mine:
        if not mine:
            raise NotNow("The environment is being built just now. Delete it when its build has ended.")
        environment.refresh_from_db()
        rows = [environment, *_others_at(environment, folder)]
        _refuse_while_needed(rows)
        _withdraw(rows, folder)
        try:
            _refuse_while_needed(rows)
        except NotNow:
            _give_back(rows)
            raise
        if len(rows) == 1:
            _files_remove(environment, folder)
        else:
            _give_back(rows[1:])
        _row_delete(environment)


def leftovers_remove(environment: Environment) -> bool:
    """Removes what a failed build left on the disk, and what one left that was killed; whether there was anything."""
    folder = _folder(environment)
    if not folder.exists() and not handed_over_of(environment.digest).exists():
        return False
    with environment_lock(environment) as mine:
        environment.refresh_from_db()
        if not mine or environment.state != EnvironmentState.FAILED or intact_mark(folder, environment.digest):
            return False
        _files_remove(environment, folder)
        Environment.objects.filter(pk=environment.pk).update(path="")
    return True


def _folder(environment: Environment) -> Path:
    """Where a build puts this environment. A path out of the database is never removed."""
    return backend_of(environment.target).environment_root() / environment.digest


def _others_at(environment: Environment, folder: Path) -> list[Environment]:
    """The rows of other targets whose files are the same."""
    same = Environment.objects.filter(digest=environment.digest, path=str(folder), state=EnvironmentState.READY)
    return list(same.exclude(pk=environment.pk))


def _withdraw(rows: list[Environment], folder: Path) -> None:
    """Takes READY away, for everybody to see, and writes down which files are to go."""
    Environment.objects.filter(pk__in=[row.pk for row in rows]).update(
        state=EnvironmentState.EVICTED, state_since=timezone.now(), path=str(folder)
    )


def _give_back(rows: list[Environment]) -> None:
    """Undoes ``_withdraw``, except where a run has ordered the environment meanwhile."""
    for row in rows:
        Environment.objects.filter(pk=row.pk, state=EnvironmentState.EVICTED).update(
            state=row.state, state_since=row.state_since, path=row.path
        )


def _used_after(rows: list[Environment], moment: datetime) -> bool:
    environments = Environment.objects.filter(pk__in=[row.pk for row in rows])
    return with_last_use(environments).filter(used_at__gt=moment).exists()


def _refuse_while_needed(rows: list[Environment]) -> None:
    names = [str(run) for run in runs_unfinished(rows)]
    if names:
        shown = ", ".join(names[:_MOST_NAMED]) + (
            f" and {len(names) - _MOST_NAMED} more" if names[_MOST_NAMED:] else ""
        )
        verb = "needs" if len(names) == 1 else "need"
        raise NotNow(f"{shown} {verb} this environment. Delete it when they have ended, or cancel them first.")


def _files_remove(environment: Environment, folder: Path) -> None:
    backend = backend_of(environment.target)
    mark_remove(folder)
    remains_remove(backend, folder, within_s=_REMOVE_WITHIN_S)
    # Of a builder that was killed; the folder handed over is there for as long as anything else of a build is.
    backend.build_apart_remove(apart_of(environment.digest))
    shutil.rmtree(handed_over_of(environment.digest), ignore_errors=True)


def _row_delete(environment: Environment) -> None:
    """Deletes the row with its build's log, unless a run has taken it meanwhile: that one builds it again."""
    with transaction.atomic():
        streams = list(Stream.objects.filter(environment=environment).values_list("pk", flat=True))
        Environment.objects.filter(pk=environment.pk).update(path="", size_bytes=None)
        _refuse_while_needed([environment])
        environment.delete()
    for stream_id in streams:
        log_delete(stream_id)
