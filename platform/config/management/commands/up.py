"""``manage.py up``: the whole platform in one foreground process family."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from config.up.errors import StartRefused


class Command(BaseCommand):
    help = "Runs the platform: Redis (unless REDIS_URL is set), web, workers and supervisor. Ctrl-C stops it."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--demo",
            nargs="?",
            const="digits",
            default="",
            choices=["digits", "distributed"],
            help="submit the example, or those of distributed training, as the first administrator",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # Imported here: the parts bring the whole server along, which no other command needs.
        from config.up.command import up

        try:
            up(demo=options["demo"], say=self.say)
        except StartRefused as refusal:
            sys.exit(str(refusal))

    def say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
