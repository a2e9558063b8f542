"""A disk that fills up while the platform runs: a page that says so, one line on the terminal."""

import errno
import logging

import pytest
from django.db import OperationalError


@pytest.mark.django_db
@pytest.mark.parametrize(
    "fault", [OperationalError("database or disk is full"), OSError(errno.ENOSPC, "No space left on device")]
)
def test_a_page_that_cannot_write_says_that_the_disk_is_full(client, admin, monkeypatch, caplog, fault):
    def refuse(*arguments, **named):
        raise fault

    monkeypatch.setattr("accounts.admin.signin_link_create", refuse)
    client.force_login(admin)
    client.raise_request_exception = False
    with caplog.at_level(logging.ERROR):
        page = client.post("/admin/accounts/user/", {"action": "make_signin_links", "_selected_action": [admin.pk]})
    assert page.status_code == 507
    assert "disk is full" in page.content.decode()
    assert [record.exc_info for record in caplog.records if "make room" in record.getMessage()] == [None]
