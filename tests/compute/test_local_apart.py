"""Places apart: builds of what somebody brings, as a user that owns nothing else."""

import os
from pathlib import Path

import pytest

from compute.backends.local.identities import Identities
from tests.compute.plans import finished, launched, output_of


def said_by(backend, script: str, *, apart: str = "") -> str:
    said: list[bytes] = []
    command = backend.build_command(["/bin/sh", "-c", script], environ={}, apart=apart)
    assert command.run(output=said.append, timeout_s=20) == 0
    return b"".join(said).decode()


def test_a_place_has_a_home_temporary_files_and_a_cache_of_its_own_and_goes_whole(backend):
    place = backend.build_apart("one")
    assert backend.build_apart("one") == place
    said = said_by(
        backend, 'echo "$HOME $TMPDIR $UV_CACHE_DIR"; touch "$HOME/left"; mkdir -p "$TMPDIR/a/b"', apart="one"
    )
    assert said.split() == [str(place / name) for name in ("home", "tmp", "cache/uv")]
    backend.build_apart_remove("one")
    backend.build_apart_remove("one")
    assert not place.exists()
    with pytest.raises(FileNotFoundError):
        said_by(backend, "true", apart="one")
    with pytest.raises(ValueError, match="must be letters"):
        backend.build_apart("../tasks")


@pytest.mark.needs("root")
def test_every_place_has_a_user_that_owns_nothing_of_other_builds_and_is_no_tasks(walled):
    said_by(walled, 'mkdir -p "$UV_CACHE_DIR" && echo mine > "$HOME/word"')
    first, second = walled.build_apart("one"), walled.build_apart("two")
    uids = {path.stat().st_uid for path in (first, second)}
    task = launched(walled, "import os\nprint(os.getuid())\n", cache_key="7")
    finished(walled, task)
    uids |= {int(output_of(walled, task)), walled.folders.cache("7").stat().st_gid, walled.identities.build.owner}
    assert len(uids) == 5
    build = walled.folders.build
    for path in (build / "home" / "word", build / "cache" / "uv", second, walled.folders.environments):
        assert said_by(walled, f"test -w {path} && echo can || echo cannot", apart="one") == "cannot\n"


def test_an_id_is_taken_from_the_end_of_the_range_or_said_to_be_missing():
    identities = Identities.parse("210000-210003", separate=True)
    assert identities.last_free({210003}) == 210002
    with pytest.raises(LookupError, match="Widen the range"):
        identities.last_free({210001, 210002, 210003})


def test_what_a_crash_left_of_a_place_is_taken_away(backend):
    backend.environment_root()
    left = backend.folders.apart / ".fresh-one"
    left.mkdir()
    assert os.listdir(Path(backend.build_apart("one")).parent) == ["one"]
