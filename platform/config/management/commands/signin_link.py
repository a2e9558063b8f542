"""``manage.py signin_link [username]``: a fresh link for somebody who cannot come in."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from accounts.services import signin_link_create


class Command(BaseCommand):
    help = "Prints a link that signs one person in, once within 24 hours. Without a name: the first administrator."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username", nargs="?", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        user = self._find(options["username"])
        if not user.is_active:
            raise CommandError(f"The account {user} is closed. Open it in the administration first.")
        self.stdout.write(settings.PUBLIC_URL + signin_link_create(user))

    def _find(self, username: str) -> User:
        if not username:
            first = User.objects.filter(is_staff=True, is_active=True).order_by("pk").first()
            if first is None:
                raise CommandError("There is no administrator yet. Start the platform once: make run")
            return first
        try:
            return User.objects.get(username=username)
        except User.DoesNotExist:
            known = ", ".join(User.objects.order_by("username").values_list("username", flat=True)[:20])
            raise CommandError(f"Nobody is called {username!r} here. Known: {known or 'nobody'}.") from None
