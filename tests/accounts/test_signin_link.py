"""Sign-in links: one use, a day, and no trace of the token."""

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.errors import LinkExpired, LinkUnknown, LinkUsed
from accounts.models import SignInLink, User
from accounts.services import signin_link_create, signin_link_use

pytestmark = pytest.mark.django_db


@pytest.fixture
def newcomer():
    return User.objects.create_user("newcomer", password=None)


def token_of(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def test_only_the_digest_of_the_token_is_stored(newcomer):
    token = token_of(signin_link_create(newcomer))
    link = SignInLink.objects.get()
    assert token not in str(vars(link))
    assert len(token) >= 43
    assert link.expires_at - timezone.now() > timedelta(hours=23)


def test_looking_at_the_link_does_not_use_it_up(client, newcomer):
    path = signin_link_create(newcomer)
    for _ in range(3):
        page = client.get(path)
        assert page.status_code == 200
        assert "newcomer" in page.content.decode()
    assert "_auth_user_id" not in client.session
    assert SignInLink.objects.get().used_at is None


def test_the_button_signs_in_and_asks_for_a_password(client, newcomer):
    path = signin_link_create(newcomer)
    answer = client.post(path)
    assert answer.status_code == 302
    assert answer["Location"] == "/accounts/password/set/"
    assert client.session["_auth_user_id"] == str(newcomer.pk)
    page = client.get(answer["Location"])
    assert page.status_code == 200
    words = {"password1": "a long new password", "password2": "a long new password"}
    assert client.post(answer["Location"], words).status_code == 302
    newcomer.refresh_from_db()
    assert newcomer.check_password("a long new password")


def test_who_has_a_password_goes_home(client, member):
    assert client.post(signin_link_create(member))["Location"] == "/"


def test_the_second_use_is_refused_on_a_page_that_says_so(client, newcomer):
    path = signin_link_create(newcomer)
    client.post(path)
    client.logout()
    for answer in (client.get(path), client.post(path)):
        assert answer.status_code == 410
        assert "has been used" in answer.content.decode()
    assert "_auth_user_id" not in client.session


def test_an_expired_link_is_refused(client, newcomer):
    path = signin_link_create(newcomer)
    SignInLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert "expired" in client.post(path).content.decode()
    with pytest.raises(LinkExpired):
        signin_link_use(token_of(path))


def test_a_newer_link_ends_the_older_one(newcomer):
    old, new = (token_of(signin_link_create(newcomer)) for _ in range(2))
    with pytest.raises(LinkUnknown):
        signin_link_use(old)
    assert signin_link_use(new) == newcomer


def test_of_two_uses_at_once_one_succeeds(newcomer, monkeypatch):
    """Both have looked the link up before either uses it."""
    from accounts import services

    token = token_of(signin_link_create(newcomer))
    link = services._usable(token)
    monkeypatch.setattr(services, "_usable", lambda _: link)
    assert signin_link_use(token) == newcomer
    with pytest.raises(LinkUsed):
        signin_link_use(token)


def test_a_closed_account_cannot_come_in(client, newcomer):
    path = signin_link_create(newcomer)
    newcomer.is_active = False
    newcomer.save(update_fields=["is_active"])
    assert client.post(path).status_code == 410


def test_an_invented_link_is_a_clear_page(client):
    answer = client.get("/accounts/link/" + "x" * 43 + "/")
    assert answer.status_code == 410
    assert "not known here" in answer.content.decode()


def test_the_address_is_told_to_no_other_site_and_kept_in_no_cache(client, newcomer):
    page = client.get(signin_link_create(newcomer))
    assert page["Referrer-Policy"] == "same-origin"
    assert "no-store" in page["Cache-Control"]


def test_the_command_prints_a_link_that_works(client, admin, capsys):
    call_command("signin_link")
    address = capsys.readouterr().out.strip()
    assert address.startswith(settings.PUBLIC_URL + "/accounts/link/")
    client.post(address.removeprefix(settings.PUBLIC_URL))
    assert client.session["_auth_user_id"] == str(admin.pk)


def test_the_command_names_those_it_knows(admin, member):
    with pytest.raises(CommandError, match=re.escape("'nobody' here. Known: admin, member.")):
        call_command("signin_link", "nobody")


def test_the_command_refuses_a_closed_account(member):
    member.is_active = False
    member.save(update_fields=["is_active"])
    with pytest.raises(CommandError, match="closed"):
        call_command("signin_link", "member")
