"""What a start does to the installation: the first time everything, the next time nothing."""

import pytest
from django.utils import timezone

from accounts.models import User
from config.up import prepare

pytestmark = pytest.mark.django_db


def test_tables_that_are_up_to_date_are_left_alone():
    assert prepare.migrate_if_needed() is False


def test_static_files_are_gathered_when_one_has_changed(settings, tmp_path):
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATICFILES_DIRS = [tmp_path / "source"]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    from django.contrib.staticfiles.finders import get_finder

    get_finder.cache_clear()
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "page.css").write_text("a {}")
    try:
        assert prepare.collect_static_if_changed() is True
        assert (tmp_path / "static" / "page.css").read_text() == "a {}"
        assert prepare.collect_static_if_changed() is False
        (tmp_path / "source" / "page.css").write_text("a { color: red }")
        assert prepare.collect_static_if_changed() is True
        assert (tmp_path / "static" / "page.css").read_text() == "a { color: red }"
    finally:
        get_finder.cache_clear()


def test_the_first_administrator_is_made_once_and_gets_a_link_until_somebody_came_in(client):
    first = prepare.first_signin_path()
    person = User.objects.get()
    assert (person.username, person.is_staff, person.has_usable_password()) == ("admin", True, False)
    second = prepare.first_signin_path()
    assert second != first
    assert client.get(first).status_code == 410
    assert client.post(second).status_code == 302
    assert prepare.first_signin_path() is None
    assert User.objects.count() == 1


def test_an_installation_with_people_gets_no_link(member):
    assert prepare.first_signin_path() is None
    member.last_login = timezone.now()
    member.save(update_fields=["last_login"])
    assert prepare.first_signin_path() is None
    assert User.objects.count() == 1
