"""``manage.py caches``: what runs have downloaded, person by person."""

from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from runs.states import RunState
from tests.factories import make_run


def said(*words: str) -> str:
    out = StringIO()
    call_command("caches", *words, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_downloads_are_shown_and_cleared_unless_a_run_may_use_them(member):
    assert said() == ""
    for key in (str(member.pk), "999999"):
        folder = settings.DATA_DIR / "caches" / key / "keras"
        folder.mkdir(parents=True)
        (folder / "weights").write_bytes(b"x" * 1_500_000)
        (folder / "link").symlink_to("/etc/passwd")
    lines = said().splitlines()
    assert sorted(line.split(maxsplit=2)[2] for line in lines) == ["999999 (the account is gone)", "member"]
    assert all(line.split()[0] == "1.5" for line in lines)
    run = make_run(owner=member, state=RunState.RUNNING)
    with pytest.raises(CommandError, match="1 of member's runs are under way"):
        said("--clear", "member")
    run.state = RunState.COMPLETED
    run.save()
    assert "Removed the downloads of member." in said("--clear", "member")
    assert said("--clear", "999999").strip() == "Removed the downloads of 999999."
    with pytest.raises(CommandError, match="There are no downloads of 'member'"):
        said("--clear", "member")
