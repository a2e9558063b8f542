"""One installation for all end-to-end tests, so that TensorFlow is installed for them once."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.house import House
from tests.e2e.person import Person


@pytest.fixture(scope="session")
def _house() -> Iterator[House]:
    """A running platform in a data folder of its own, which unprivileged users can reach."""
    folder = Path(tempfile.mkdtemp(prefix="th-e2e-"))
    folder.chmod(0o711)
    house = House(data_dir=folder / "data")
    house.start(timeout_s=90)
    yield house
    if house.process is not None:
        house.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def house(_house: House) -> House:
    """The session's platform, started again where a test has left it stopped."""
    if _house.process is None or _house.process.poll() is not None:
        _house.start()
    return _house


@pytest.fixture(scope="session")
def _person(_house: House) -> Person:
    person = Person(_house.url)
    person.sign_in(_house.sign_in_path())
    return person


@pytest.fixture
def person(_person: Person, house: House) -> Person:
    """The first administrator, signed in."""
    return _person
