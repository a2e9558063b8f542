"""People. A custom user model from the first migration, so that it can grow."""

from collections.abc import Iterable

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """Someone who may sign in. ``is_staff`` is the administrator's role; everyone else is a member.

    Administrators have every permission; there are no finer ones to hand out.
    """

    def has_perm(self, perm: str, obj: models.Model | None = None) -> bool:
        return self._is_administrator or super().has_perm(perm, obj)

    def has_perms(self, perm_list: Iterable[str], obj: models.Model | None = None) -> bool:
        return self._is_administrator or super().has_perms(perm_list, obj)

    def has_module_perms(self, app_label: str) -> bool:
        return self._is_administrator or super().has_module_perms(app_label)

    @property
    def _is_administrator(self) -> bool:
        return self.is_active and self.is_staff


class SignInLink(models.Model):
    """A link that signs one user in, once. Only its SHA-256 is kept."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sign_in_links")
    token_sha256 = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"sign-in link of {self.user}"
