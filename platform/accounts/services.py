"""Sign-in links: a way in without a password, for the first administrator and for people who are new."""

import secrets
from datetime import timedelta
from hashlib import sha256

from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts.errors import LinkExpired, LinkUnknown, LinkUsed
from accounts.models import SignInLink, User

#: How long a link can be used.
LINK_LIFETIME = timedelta(hours=24)


def signin_link_create(user: User) -> str:
    """The path of a new link that signs ``user`` in once within 24 hours. Earlier links of theirs end.

    The path holds the token, of which only the SHA-256 is kept: it cannot be shown a second time.
    """
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        SignInLink.objects.filter(user=user, used_at=None).delete()
        SignInLink.objects.create(user=user, token_sha256=_digest(token), expires_at=timezone.now() + LINK_LIFETIME)
    return reverse("signin-link", args=[token])


def signin_link_user(token: str) -> User:
    """Whom the link would sign in; it stays unused. Raises a LinkRefused that says why it would not."""
    return _usable(token).user


def signin_link_use(token: str) -> User:
    """Uses the link up and returns its user. Of two uses at once, one succeeds. Raises a LinkRefused."""
    link = _usable(token)
    if not SignInLink.objects.filter(pk=link.pk, used_at=None).update(used_at=timezone.now()):
        raise LinkUsed
    return link.user


def _usable(token: str) -> SignInLink:
    link = SignInLink.objects.select_related("user").filter(token_sha256=_digest(token)).first()
    if link is None or not link.user.is_active:
        raise LinkUnknown
    if link.used_at is not None:
        raise LinkUsed
    if link.expires_at <= timezone.now():
        raise LinkExpired
    return link


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
