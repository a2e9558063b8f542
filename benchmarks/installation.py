"""A running platform in a temporary data folder, with its first administrator signed in."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.house import House
from tests.e2e.person import Person


@contextmanager
def installation(**environ: str) -> Iterator[tuple[House, Person]]:
    """``environ`` are further settings, such as ``TRAINHOUSE_LOCAL_NODES="2"``."""
    folder = Path(tempfile.mkdtemp(prefix="th-bench-"))
    folder.chmod(0o711)
    house = House(data_dir=folder / "data", environ=environ)
    house.start(timeout_s=90)
    try:
        person = Person(house.url)
        person.sign_in(house.sign_in_path())
        yield house, person
    finally:
        house.stop()
        shutil.rmtree(folder, ignore_errors=True)


def ready_python(house: House) -> Path:
    """The interpreter of the environment that the platform has built."""
    environment = house.row("SELECT path FROM runs_environment WHERE state = 'ready' ORDER BY id DESC")
    assert environment is not None
    return Path(environment["path"]) / "bin" / "python"
