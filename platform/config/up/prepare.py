"""Everything the database and the static files need before the first page; quick when nothing has changed.

Runs in a child of its own, so that the parent forks its parts without an open connection.
"""

import os
import shutil
from hashlib import sha256
from io import StringIO
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.checks import CheckMessage, run_checks
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from accounts.models import User
from accounts.services import signin_link_create
from compute.errors import TargetMisconfigured
from compute.probes import local_target_ensure
from config import __version__, checks
from config.up.demo import demo_submit
from config.up.errors import StartRefused
from runs.supervisor.rounds import renew_deadlines


def prepare(*, demo: str) -> dict[str, Any]:
    """Makes the installation ready. Idempotent.

    Returns what the banner tells: ``warnings``, ``signin_path`` (None once somebody has signed in), and and
    ``demos``: of every run of the examples called ``demo`` its path and whether it is new. Raises StartRefused.
    """
    facts: dict[str, Any] = {"warnings": [_words(message) for message in check_installation()]}
    try:
        migrate_if_needed()
        call_command("createcachetable", verbosity=0)  # no migration makes it; one that is there is left alone
    except DatabaseError as error:
        raise StartRefused(
            f"The database cannot be brought up to date: {error}. Its settings are DATABASE_URL or, for SQLite, "
            f"the file in {settings.DATA_DIR}."
        ) from error
    collect_static_if_changed()
    try:
        local_target_ensure()
    except TargetMisconfigured as error:
        facts["warnings"].append(
            f"The local target stays as it was. {error} Change it on the admin's page of the target."
        )
    renew_deadlines()
    facts["signin_path"] = first_signin_path()
    facts["demos"] = [(run.get_absolute_url(), is_new) for run, is_new in demo_submit(demo)] if demo else []
    return facts


def check_installation() -> list[CheckMessage]:
    """The warnings of our own system checks. Raises StartRefused with the errors."""
    messages = run_checks(tags=[checks.TAG])
    errors = [message for message in messages if message.is_serious()]
    if errors:
        raise StartRefused("\n".join(_words(message) for message in errors))
    return messages


def migrate_if_needed() -> bool:
    """Brings the database's tables up to date. False when they were."""
    executor = MigrationExecutor(connection)
    if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return False
    call_command("migrate", interactive=False, verbosity=0)
    return True


def collect_static_if_changed() -> bool:
    """Gathers the static files into the data folder when any has changed. False when none has."""
    digest = sha256(f"{__version__} {settings.STORAGES['staticfiles']}".encode())
    for finder in get_finders():
        for path, storage in sorted(finder.list([]), key=lambda found: str(found[0])):
            facts = os.stat(storage.path(path))
            digest.update(f"{path} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    mark = settings.STATIC_ROOT / ".collected"
    if mark.exists() and mark.read_text() == digest.hexdigest():
        return False
    if settings.STATIC_ROOT.exists():
        shutil.rmtree(settings.STATIC_ROOT)
    call_command("collectstatic", interactive=False, verbosity=0, stdout=StringIO())
    mark.write_text(digest.hexdigest())
    return True


def first_signin_path() -> str | None:
    """A fresh sign-in link for the first administrator, made when there is nobody; None once anyone has come in."""
    if User.objects.exclude(last_login=None).exists():
        return None
    person = User.objects.filter(is_staff=True, is_active=True).order_by("pk").first()
    if person is None and User.objects.exists():
        return None
    if person is None:
        person = User.objects.create_superuser("admin", password=None)
    return None if person.has_usable_password() else signin_link_create(person)


def _words(message: CheckMessage) -> str:
    return f"{message.msg} {message.hint or ''}".strip()
