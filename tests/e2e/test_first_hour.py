"""What a newcomer meets in the first hour, in an installation that was made a moment ago."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.house import House
from tests.e2e.person import Person

PASSWORD = "correct horse 77"


@pytest.fixture
def new_house() -> Iterator[House]:
    folder = Path(tempfile.mkdtemp(prefix="th-first-"))
    folder.chmod(0o711)
    house = House(data_dir=folder / "data")
    house.start(timeout_s=90)
    yield house
    if house.process is not None:
        house.stop()
    shutil.rmtree(folder, ignore_errors=True)


def test_the_first_administrator_sets_a_password_and_comes_back_with_it(new_house):
    first = Person(new_house.url)
    first.sign_in(new_house.sign_in_path())
    first.get("/accounts/password/set/")
    address, page = first.post("/accounts/password/set/", [("password1", PASSWORD), ("password2", PASSWORD)])
    assert address == "/", page

    later = Person(new_house.url)
    later.get("/accounts/login/")
    address, page = later.post("/accounts/login/", [("login", "admin"), ("password", "something else")])
    assert address == "/accounts/login/", page
    address, page = later.post("/accounts/login/", [("login", "admin"), ("password", PASSWORD)])
    assert address == "/", page
    assert "New run" in page


def test_pages_and_their_files_leave_nothing_on_the_terminal(new_house):
    person = Person(new_house.url)
    person.sign_in(new_house.sign_in_path())
    shown = b"".join(person.get(path) for path in ("/", "/runs/new", "/admin/")).decode()
    files = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', shown))
    assert {file.rsplit(".", 1)[-1] for file in files} >= {"css", "js", "svg"}
    scripts = [person.get(file).decode() for file in files if "/static/js/" in file]
    imports = [name for script in scripts for name in re.findall(r'from "(\./[^"]+)"', script)]
    assert imports
    assert all(re.search(r"\.[0-9a-f]{12}\.js$", name) for name in imports), imports
    for file in files:
        assert person.get(file), file
    assert new_house.stop() == 0
    after = new_house.log_path.read_text().split("training goes on.\n", 1)[1]
    assert "arning" not in after, after
    assert "Traceback" not in after, after
