"""``manage.py caches``: how much each person's runs have downloaded, and ``--clear NAME`` to empty one."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from compute.backends.local.caches import cache_remove, caches_sizes
from compute.backends.local.folders import Folders
from runs.models import Run
from runs.states import FINAL


class Command(BaseCommand):
    help = "Shows how much pretrained weights and other downloads each person's runs keep on this machine."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--clear", metavar="NAME", default="", help="removes this person's downloads")

    def handle(self, *args: Any, **options: Any) -> None:
        folders = Folders(data=settings.DATA_DIR)
        people = {str(user.pk): user for user in User.objects.all()}
        names = {key: people[key].username if key in people else key for key in caches_sizes(folders)}
        if options["clear"]:
            self._clear(options["clear"], names, folders)
        for key, size in caches_sizes(folders).items():
            gone = "" if key in people else " (the account is gone)"
            self.stdout.write(f"{size / 1e6:12,.1f} MB  {names[key]}{gone}")

    def _clear(self, name: str, names: dict[str, str], folders: Folders) -> None:
        key = next((key for key, found in names.items() if found == name), None)
        if key is None:
            raise CommandError(f"There are no downloads of {name!r}. There are: {', '.join(names.values()) or 'none'}.")
        count = Run.objects.filter(owner__pk=key).exclude(state__in=FINAL).count()
        if count:
            raise CommandError(f"{count} of {name}'s runs are under way. Clear the downloads when they have ended.")
        cache_remove(key, folders=folders)
        self.stdout.write(f"Removed the downloads of {name}.")
