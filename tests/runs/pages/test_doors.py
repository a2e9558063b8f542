"""Sign-in, and that nothing is open without it."""

import re

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.views.defaults import server_error

#: What strangers may open: the door itself, and whether the house stands.
OPEN = ("accounts/", "admin/login/", "healthz", "readyz")

#: Parts of addresses as something that their converters take.
SAMPLES = {"uuid": "00000000-0000-4000-8000-000000000000", "int": "1", "str": "x", "slug": "x", "path": "x"}


def addresses(patterns=None, prefix: str = "") -> list[str]:
    """Every address without a regular expression in it, with samples for its variable parts."""
    found = []
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            found += addresses(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern) and not re.search(r"[\^$\\]", route):
            found.append(re.sub(r"<(?:(\w+):)?\w+>", lambda part: SAMPLES[part.group(1) or "str"], route))
    return found


def test_every_address_but_the_door_sends_strangers_away(db):
    stranger = Client()
    looked_at = 0
    for address in addresses():
        if address.startswith(OPEN):
            continue
        answer = stranger.get(f"/{address}")
        assert answer.status_code in (302, 401, 403, 404, 405), f"/{address} answered {answer.status_code}"
        if answer.status_code == 302:
            assert "/login" in answer.url, f"/{address} leads to {answer.url}"
        looked_at += 1
    assert looked_at > 10


@pytest.mark.parametrize(
    "address", ["/", "/runs/", "/runs/new", "/runs/1/cancel/", "/runs/new/place", "/accounts/password/change/"]
)
def test_pages_lead_to_the_door_and_back(db, address):
    assert Client().get(address).url == f"/accounts/login/?next={address}"


def test_one_signs_in_with_a_password(member):
    client = Client()
    wrong = client.post("/accounts/login/", {"login": "member", "password": "guess"})
    assert 'role="alert"' in wrong.content.decode()
    right = client.post(
        "/accounts/login/?next=/runs/new", {"login": "member", "password": "correct horse", "next": "/runs/new"}
    )
    assert right.url == "/runs/new"


def test_sign_up_is_closed(db, django_user_model):
    client = Client()
    assert "Accounts are given here" in client.get("/accounts/signup/").content.decode()
    client.post(
        "/accounts/signup/",
        {
            "username": "intruder",
            "email": "x@example.org",
            "password1": "a long password",
            "password2": "a long password",
        },
    )
    assert not django_user_model.objects.filter(username="intruder").exists()


def test_signing_out_is_a_post_from_the_menu(person):
    assert "Sign out?" in person.get("/accounts/logout/").content.decode()
    assert person.get("/").status_code == 200
    assert person.post("/accounts/logout/").url == "/accounts/login/"
    assert person.get("/").status_code == 302


def test_the_password_is_changed_with_the_present_one(person, member):
    fields = {"oldpassword": "correct horse", "password1": "battery staple 9", "password2": "battery staple 9"}
    assert person.get("/accounts/password/change/").status_code == 200
    refused = person.post("/accounts/password/change/", fields | {"oldpassword": "no"})
    assert 'aria-invalid="true"' in refused.content.decode()
    person.post("/accounts/password/change/", fields)
    member.refresh_from_db()
    assert member.check_password("battery staple 9")


def test_pages_that_are_not_there_say_so_in_our_words(person):
    answer = person.get("/nowhere")
    assert answer.status_code == 404
    assert "There is no such page" in answer.content.decode()


def test_a_mistake_of_ours_is_told_without_the_database(rf):
    answer = server_error(rf.get("/"))
    assert answer.status_code == 500
    assert "Something broke on our side" in answer.content.decode()


def test_a_form_without_its_token_is_explained(member):
    client = Client(enforce_csrf_checks=True)
    client.force_login(member)
    answer = client.post("/runs/new", {})
    assert answer.status_code == 403
    assert "The form is out of date" in answer.content.decode()


def test_the_admin_is_linked_for_administrators_alone(person, admin):
    assert 'href="/admin/"' not in person.get("/").content.decode()
    client = Client()
    client.force_login(admin)
    assert 'href="/admin/"' in client.get("/").content.decode()
