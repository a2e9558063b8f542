import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from compute.backends.base import ComputeBackend
from compute.models import ComputeTarget
from runs.environments import environment_build, environment_is_intact, environment_ref
from runs.environments.lock import lock_packages
from runs.environments.realised import MARK
from runs.models import Environment, Stream
from runs.states import EnvironmentState
from tests.runs.environments.index import Index

Order = Callable[..., Environment]
Log = Callable[[Environment], str]


def test_an_environment_holds_what_was_asked_for_and_what_that_needs(index: Index, order: Order) -> None:
    index.add_wheel("leaf", "1.5", module="answer = 42\n")
    index.add_wheel("tree", "2.0", requires=("leaf>=1",))
    built = environment_build(order("tree").pk)
    assert (built.state, built.error) == (EnvironmentState.READY, "")
    assert lock_packages(built.lock) == ["leaf==1.5", "tree==2.0"]
    assert environment_is_intact(built)
    python = environment_ref(built).python
    done = subprocess.run([python, "-c", "import leaf, tree; print(leaf.answer)"], capture_output=True, text=True)
    assert done.stdout.strip() == "42"
    assert Path(built.path).name == built.digest
    assert (built.size_bytes or 0) > 1000
    assert built.ready_at is not None


def test_a_server_that_makes_its_files_for_itself_alone_still_builds(index: Index, order: Order) -> None:
    index.add_wheel("tiny", "1.0")
    before = os.umask(0o077)
    try:
        built = environment_build(order("tiny").pk)
    finally:
        os.umask(before)
    assert built.state == EnvironmentState.READY, built.error


def test_the_lock_has_hashes_and_no_address(index: Index, order: Order) -> None:
    index.add_wheel("leaf", "1.5")
    lock = environment_build(order("leaf").pk).lock
    assert "--hash=sha256:" in lock
    assert "127.0.0.1" not in lock
    assert "://" not in lock


def test_bytecode_is_compiled(index: Index, order: Order) -> None:
    index.add_wheel("leaf", "1.5")
    built = environment_build(order("leaf").pk)
    assert list(Path(built.path).glob("lib/python3*/site-packages/__pycache__/leaf.*.pyc"))


@pytest.mark.needs("root")
def test_no_other_user_can_write_into_a_finished_environment(index: Index, order: Order) -> None:
    index.add_wheel("leaf", "1.5")
    built = environment_build(order("leaf").pk)
    writable = [path for path in Path(built.path).rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o022]
    assert writable == []
    script = "import leaf, os; open(leaf.__file__, 'a').write('x')"
    done = subprocess.run(
        [environment_ref(built).python, "-c", script], capture_output=True, text=True, user=200_001, group=200_001
    )
    assert "Permission denied" in done.stderr
    planted = f"open({str(Path(built.path) / 'bin' / 'planted')!r}, 'w')"
    done = subprocess.run(
        [environment_ref(built).python, "-c", planted], capture_output=True, text=True, user=200_001, group=200_001
    )
    assert "Permission denied" in done.stderr


def test_the_build_is_told_live_in_a_stream_and_in_the_progress(index: Index, order: Order, build_log: Log) -> None:
    index.add_wheel("leaf", "1.5")
    built = environment_build(order("leaf").pk)
    said = build_log(built)
    assert said.startswith("Python 3.")
    assert "+ leaf==1.5" in said
    assert "--hash" not in said
    assert built.progress["phase"] == "ready"
    assert built.progress["percent"] == 100
    assert Stream.objects.get(environment=built).is_closed


def test_a_package_that_does_not_exist_is_named(index: Index, order: Order, build_log: Log) -> None:
    built = environment_build(order("no-such-thing").pk)
    assert built.state == EnvironmentState.FAILED
    assert built.error == "The package index has no package 'no-such-thing'. Check its spelling under pip packages."
    assert built.error in build_log(built)
    assert not Path(built.path or "/nonexistent").exists()


def test_a_version_that_does_not_exist_is_named(index: Index, order: Order) -> None:
    index.add_wheel("leaf", "1.5")
    built = environment_build(order("leaf==99").pk)
    assert "no version that fits leaf==99" in built.error


def test_packages_that_contradict_each_other_are_named(index: Index, order: Order) -> None:
    index.add_wheel("leaf", "1.5")
    index.add_wheel("tree", "2.0", requires=("leaf>=2",))
    built = environment_build(order("leaf<2", "tree").pk)
    assert built.state == EnvironmentState.FAILED
    assert "leaf" in built.error
    assert "tree" in built.error


def test_a_source_package_is_built_and_one_that_fails_is_named_with_its_words(index: Index, order: Order) -> None:
    index.add_source("fine", "1.0", action="pass")
    index.add_source("broken", "1.0", action="raise SystemExit('graphviz/cgraph.h: No such file')")
    assert environment_build(order("fine").pk).state == EnvironmentState.READY
    failed = environment_build(order("broken").pk)
    assert failed.state == EnvironmentState.FAILED
    assert "broken==1.0" in failed.error
    assert "graphviz/cgraph.h: No such file" in failed.error


def test_an_index_that_does_not_answer_is_named(index: Index, order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    built = environment_build(order("leaf").pk)
    assert "cannot be reached at http://127.0.0.1:9/simple/leaf/" in built.error
    assert "Connection refused" in built.error


def test_passwords_of_an_index_reach_neither_log_nor_lock_nor_error(
    index: Index, order: Order, build_log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add_wheel("leaf", "1.5")
    index.add_source("chatty", "1.0", action="print(os.environ, file=sys.stderr); sys.exit('no')")
    index.password = "s3cret-word"
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
    good = environment_build(order("leaf").pk)
    assert good.state == EnvironmentState.READY, good.error
    bad = environment_build(order("chatty").pk)
    assert bad.state == EnvironmentState.FAILED
    for text in (build_log(good), good.lock, build_log(bad), bad.error):
        assert "s3cret-word" not in text
    assert "chatty" in bad.error


def test_an_index_named_for_pip_alone_is_used(index: Index, order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    index.add_wheel("leaf", "1.5")
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    assert environment_build(order("leaf").pk).state == EnvironmentState.READY


def test_a_ready_environment_is_not_built_again(index: Index, order: Order) -> None:
    index.add_wheel("leaf", "1.5")
    built = environment_build(order("leaf").pk)
    index.stop()
    assert environment_build(built.pk).build_count == 1


def test_an_environment_that_lies_there_whole_is_taken_by_another_target(index: Index, order: Order) -> None:
    index.add_wheel("leaf", "1.5")
    built = environment_build(order("leaf").pk)
    index.stop()
    other = Environment.objects.create(
        target=ComputeTarget.objects.create(name="other"), digest=built.digest, spec=built.spec
    )
    taken = environment_build(other.pk)
    assert (taken.state, taken.path, taken.lock) == (EnvironmentState.READY, built.path, built.lock)


@pytest.mark.parametrize("damage", [MARK, "bin/python"])
def test_a_damaged_environment_is_found_and_built_again(
    index: Index, order: Order, backend: ComputeBackend, damage: str
) -> None:
    index.add_wheel("leaf", "1.5")
    built = environment_build(order("leaf").pk)
    Path(built.path).chmod(0o755)
    (Path(built.path) / "bin").chmod(0o755)
    (Path(built.path) / damage).unlink()
    assert not environment_is_intact(built)
    again = environment_build(built.pk)
    assert (again.state, again.build_count) == (EnvironmentState.READY, 2)
    assert environment_is_intact(again)


def test_what_an_earlier_build_left_is_removed_first(index: Index, order: Order, backend: ComputeBackend) -> None:
    index.add_wheel("leaf", "1.5")
    environment = order("leaf")
    left = backend.environment_root() / environment.digest
    backend.build_command(["/bin/mkdir", "-p", str(left / "half")], environ={}).run(output=print, timeout_s=30)
    backend.seal(left)
    built = environment_build(environment.pk)
    assert built.state == EnvironmentState.READY, built.error
    assert not (left / "half").exists()


def test_a_framework_pinned_by_the_run_is_said_in_the_log(index: Index, order: Order, build_log: Log) -> None:
    index.add_wheel("leaf", "1.5")
    built = environment_build(order("leaf==1.5", pinned_by="user").pk)
    assert "TensorFlow as pinned by the run: leaf==1.5" in build_log(built)


def test_the_mark_is_the_servers_and_says_what_it_marks(index: Index, order: Order) -> None:
    index.add_wheel("leaf", "1.5")
    built = environment_build(order("leaf").pk)
    mark = Path(built.path) / MARK
    assert json.loads(mark.read_text())["digest"] == built.digest
    assert mark.stat().st_uid == os.geteuid()
