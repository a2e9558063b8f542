"""Who is let in where: sign-up closed, sign-in limited, everything else behind it."""

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import SignInLink, User

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse"

#: Every address that answers people who are not signed in, and why it may.
OPEN = {
    "account_login": "the door",
    "account_logout": "leads to the door",
    "account_signup": "says that sign-up is closed",
    "account_inactive": "says that the account is closed",
    "account_reset_password": "says whom to ask",
    "signin-link": "from an administrator",
    "healthz": "for monitors",
    "readyz": "for monitors",
}


def patterns(resolver: URLResolver, prefix: str = ""):
    for each in resolver.url_patterns:
        if isinstance(each, URLResolver):
            if each.namespace != "admin":
                yield from patterns(each, prefix + str(each.pattern))
        elif isinstance(each, URLPattern):
            yield each


def test_every_address_outside_the_list_asks_for_a_signed_in_person():
    views = {each.name: each.callback for each in patterns(get_resolver())}
    assert len(views) > 15
    is_open = {name for name, view in views.items() if not getattr(view, "login_required", True)}
    assert is_open <= OPEN.keys()


def test_a_page_sends_to_the_door_and_the_api_answers_401(client):
    assert client.get("/").headers["Location"] == "/accounts/login/?next=/"
    answer = client.post("/api/v1/uploads")
    assert answer.status_code == 401
    assert answer.json() == {"error": "Sign in first."}


def test_nobody_can_make_an_account_for_himself(client):
    form = {"username": "eve", "password1": "a long password 1", "password2": "a long password 1"}
    client.post("/accounts/signup/", form)
    assert not User.objects.exists()
    assert "username" not in client.get("/accounts/signup/").content.decode()


def test_sign_in_by_name_and_by_mail(client, member):
    member.email = "member@example.org"
    member.save(update_fields=["email"])
    for login in ("member", "member@example.org"):
        answer = client.post("/accounts/login/", {"login": login, "password": PASSWORD})
        assert answer.status_code == 302, answer.content.decode()
        client.logout()


def test_failed_sign_ins_are_limited_for_every_process_together(member):
    """The count lies in the database: a client of another process is counted too."""
    pages = []
    for _ in range(12):
        pages.append(Client().post("/accounts/login/", {"login": "member", "password": "wrong"}))
    assert "Too many" in pages[-1].content.decode()
    right = Client().post("/accounts/login/", {"login": "member", "password": PASSWORD})
    assert right.status_code != 302


def test_an_administrator_has_every_permission_and_a_member_none(admin, member):
    member.is_staff = True
    assert member.has_perm("compute.change_node")
    assert member.has_module_perms("compute")
    member.is_staff = False
    assert not member.has_perm("compute.change_node")
    admin.is_active = False
    assert not admin.has_perm("compute.change_node")


def test_an_administrator_makes_an_account_and_its_link(client, admin):
    client.force_login(admin)
    assert 'type="password"' not in client.get("/admin/accounts/user/add/").content.decode()
    made = client.post("/admin/accounts/user/add/", {"username": "new.person", "email": ""})
    person = User.objects.get(username="new.person")
    assert not person.is_staff
    assert not person.has_usable_password()
    first_link = made.content.decode().partition("http://testserver")[2].partition("<")[0]
    assert Client().get(first_link).status_code == 200
    assert "no-store" in made["Cache-Control"]
    action = {"action": "make_signin_links", "_selected_action": [person.pk]}
    page = client.post("/admin/accounts/user/", action)
    text = page.content.decode()
    assert "no-store" in page["Cache-Control"]
    link = text.partition("http://testserver")[2].partition("<")[0]
    assert link.startswith("/accounts/link/")
    assert SignInLink.objects.filter(user=person).count() == 1
    assert Client().post(link)["Location"] == "/accounts/password/set/"


def test_closing_an_account_ends_its_session_and_spares_ones_own(client, admin, member):
    browser = Client()
    browser.force_login(member)
    client.force_login(admin)
    client.post("/admin/accounts/user/", {"action": "close_accounts", "_selected_action": [member.pk, admin.pk]})
    assert browser.get("/").headers["Location"].startswith("/accounts/login/")
    admin.refresh_from_db()
    assert admin.is_active


def test_members_see_nothing_of_the_administration(client, member):
    client.force_login(member)
    assert client.get("/admin/").status_code == 302
    assert client.get("/admin/accounts/user/").status_code == 302


def test_scripts_in_attributes_run_in_the_administration_alone(client, admin):
    client.force_login(admin)
    assert "unsafe-eval" in client.get("/admin/").headers["Content-Security-Policy"]
    policy = client.get("/accounts/password/change/").headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe-eval" not in policy


def test_the_administration_has_no_door_of_its_own(client, admin, member):
    wrong = {"username": "admin", "password": "wrong"}
    for answer in (client.get("/admin/login/?next=/admin/"), client.post("/admin/login/?next=/admin/", wrong)):
        assert answer.headers["Location"] == "/accounts/login/?next=%2Fadmin%2F"
    client.force_login(member)
    assert client.get("/admin/login/").status_code == 403


def test_nothing_is_sent_by_mail_and_no_address_is_a_way_in(client, member, mailoutbox):
    member.email = "member@example.org"
    member.save(update_fields=["email"])
    assert "Ask an administrator" in client.get("/accounts/password/reset/").content.decode()
    assert client.post("/accounts/password/reset/", {"email": member.email}).status_code == 405
    client.force_login(member)
    for path in ("email/", "confirm-email/", "confirm-email/x/", "login/code/confirm/", "password/reset/key/1-x/"):
        assert client.post(f"/accounts/{path}").status_code == 404, path
    assert mailoutbox == []
