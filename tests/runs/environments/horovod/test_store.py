import os
import stat
from pathlib import Path

import pytest

from runs.environments.horovod.key import WheelKey
from runs.environments.horovod.store import WheelStore, wheel_read
from runs.errors import EnvironmentFailed
from tests.runs.environments.horovod.conftest import NAME, wheel_content

KEY = WheelKey(
    tensorflow="tensorflow-cpu==2.21.0",
    python=(("soabi", "cpython-311"),),
    mpi="Open MPI 4.1.4",
    operations="cpu",
    edits=("release",),
    recipe="0123456789ab",
)


@pytest.fixture
def own(tmp_path: Path) -> WheelStore:
    return WheelStore(tmp_path / "horovod")


def test_a_kept_wheel_is_found_by_its_key_and_by_no_other(own: WheelStore) -> None:
    kept = own.keep(KEY, NAME, wheel_content())
    assert own.find(KEY) == kept
    assert kept.requirement == f"horovod @ {kept.path.as_uri()} --hash=sha256:{kept.sha256}"
    for name, value in {
        "tensorflow": "tensorflow-cpu==2.21.1",
        "python": (("soabi", "cpython-312"),),
        "mpi": "Open MPI 5.0.3",
        "operations": "nccl cuda 12.5",
        "edits": (),
        "recipe": "ba9876543210",
        "horovod": "0.29.0",
    }.items():
        fields = {field: getattr(KEY, field) for field in KEY.__slots__} | {name: value}
        assert own.find(WheelKey(**fields)) is None


def test_a_wheel_that_has_changed_on_the_disk_counts_as_absent(own: WheelStore) -> None:
    kept = own.keep(KEY, NAME, wheel_content())
    kept.path.write_bytes(kept.path.read_bytes() + b"x")
    assert own.find(KEY) is None
    assert own.is_damaged(KEY)
    assert own.keep(KEY, NAME, wheel_content()) == own.find(KEY)
    assert not own.is_damaged(KEY)


@pytest.mark.parametrize("facts", ["", "[]", "{}", '{"file": "gone.whl", "sha256": "0", "size_bytes": 1}'])
def test_facts_that_cannot_be_read_count_as_absent(own: WheelStore, facts: str) -> None:
    own.keep(KEY, NAME, wheel_content())
    (own.root / KEY.digest / "wheel.json").write_text(facts)
    assert own.find(KEY) is None


def test_only_a_wheel_of_horovod_for_tensorflow_is_taken(own: WheelStore) -> None:
    with pytest.raises(EnvironmentFailed, match="which is no wheel"):
        own.keep(KEY, NAME, b"nothing of the kind")
    empty = wheel_content().replace(b"mpi_lib.", b"mpi_bil.")
    with pytest.raises(EnvironmentFailed, match="does not hold its library for TensorFlow"):
        own.keep(KEY, NAME, empty)
    assert own.find(KEY) is None


def test_everybody_can_read_a_kept_wheel_and_only_the_server_write_it(own: WheelStore) -> None:
    before = os.umask(0o077)
    try:
        kept = own.keep(KEY, NAME, wheel_content())
    finally:
        os.umask(before)
    for path in (own.root, kept.path.parent, kept.path):
        facts = path.stat()
        assert facts.st_uid == os.geteuid()
        assert stat.S_IMODE(facts.st_mode) == (0o755 if path.is_dir() else 0o644)


def test_what_a_build_lays_in_place_of_its_wheel_is_not_read(tmp_path: Path) -> None:
    real, link, second = tmp_path / "real.whl", tmp_path / "link.whl", tmp_path / "second.whl"
    real.write_bytes(b"content")
    assert wheel_read(real, owner=os.geteuid()) == b"content"
    link.symlink_to(real)
    with pytest.raises(EnvironmentFailed, match="cannot be read"):
        wheel_read(link, owner=os.geteuid())
    with pytest.raises(EnvironmentFailed, match="not a file of the user that builds"):
        wheel_read(real, owner=os.geteuid() + 1)
    second.hardlink_to(real)
    with pytest.raises(EnvironmentFailed, match="not a file of the user that builds"):
        wheel_read(real, owner=os.geteuid())
    pipe = tmp_path / "pipe.whl"
    os.mkfifo(pipe)
    with pytest.raises(EnvironmentFailed, match="not a file of the user that builds"):
        wheel_read(pipe, owner=os.geteuid())
