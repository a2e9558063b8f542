"""Real builds of packages from files of the snapshot."""

import io
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from django.conf import settings

from compute.backends.base import ComputeBackend
from compute.models import ComputeTarget
from compute.registry import backend_of
from runs.environments import environment_build, environment_is_intact, environment_ref, environment_request
from runs.environments.lock import lock_packages, lock_sources
from runs.environments.sources import Source, sources_described
from runs.models import Environment, Snapshot
from runs.snapshots import snapshot_reader, snapshot_trees
from runs.snapshots.blobs import blob_path, blob_store
from runs.snapshots.manifest import Entry, snapshot_keep
from runs.spec import RunSpec
from runs.states import EnvironmentState
from tests.runs.environments.index import BACKEND, PYPROJECT, Index

Order = Callable[..., Environment]
Log = Callable[[Environment], str]


def package(name: str = "mine", *, action: str = "pass", metadata: str = "", module: str = "") -> dict[str, str]:
    """A folder with a package that builds without anything from anywhere; ``metadata`` are further lines of it."""
    backend = BACKEND.format(name=name, version="1.0", action=action)
    backend = backend.replace('Version: 1.0\\n")', f'Version: 1.0\\n{metadata}")', 1)
    backend = backend.replace(f'"{name}.py", ""', f'"{name}.py", {module!r}')
    return {"pyproject.toml": PYPROJECT, "backend.py": backend}


def snapshot_of(files: Mapping[str, str | bytes]) -> Snapshot:
    entries = []
    for path, text in files.items():
        blob = blob_store(io.BytesIO(text.encode() if isinstance(text, str) else text).read)
        entries.append(Entry(path=path, sha256=blob.sha256, size_bytes=blob.size_bytes))
    return snapshot_keep(entries, git={})


def with_sources(environment: Environment, files: Mapping[str, str | bytes], *sources: Source) -> Environment:
    trees = snapshot_trees(snapshot_of(files))
    environment.spec |= {"sources": sources_described(sources, trees)}
    environment.save(update_fields=["spec"])
    return environment


def below(folder: str, files: Mapping[str, str]) -> dict[str, str]:
    return {f"{folder}/{path}": text for path, text in files.items()}


def said_by(environment: Environment, code: str) -> str:
    done = subprocess.run([environment_ref(environment).python, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_package_of_the_source_is_built_with_what_it_depends_on(index: Index, order: Order, build_log: Log) -> None:
    for name in ("leaf", "tree", "bush"):
        index.add_wheel(name, "1.0")
    metadata = "Requires-Dist: leaf\\nProvides-Extra: more\\nRequires-Dist: tree ; extra == 'more'\\n"
    files = below("a b/pkg", package(metadata=metadata, module="answer = 42"))
    source = Source(path="a b/pkg", where="r.txt:1", extras=("more",), marker='python_version > "3"')
    built = environment_build(with_sources(order("bush"), files, source).pk)
    assert built.error == ""
    assert lock_packages(built.lock) == ["bush==1.0", "leaf==1.0", "tree==1.0", "mine==1.0"]
    (locked,) = lock_sources(built.lock)
    assert (locked.path, locked.digest) == ("a b/pkg", built.spec["sources"]["a b/pkg"]["tree"])
    assert "://" not in built.lock
    assert said_by(built, "import mine, leaf, tree; print(mine.answer)") == "42"
    assert "Building the package in ./a b/pkg; it is installed as it is now, -e or not" in build_log(built)
    assert list((settings.DATA_DIR / "apart").iterdir()) == []
    assert not (settings.DATA_DIR / "tools" / "builds" / built.digest).exists()


def test_a_line_of_a_requirements_file_leads_from_the_source_to_the_script(
    index: Index, target: ComputeTarget, backend: ComputeBackend
) -> None:
    index.add_wheel("tensorflow_cpu", "2.18.1")
    index.add_wheel("tensorboard", "2.18.0")
    spec = RunSpec(pip_packages=("tensorflow-cpu==2.18.1",), pip_requirements_file="requirements.txt")

    def needed(answer: int) -> Environment:
        files = {"requirements.txt": "-e ./lib\n", "train.py": "", **below("lib", package(module=f"answer = {answer}"))}
        snapshot = snapshot_of(files)
        return environment_request(spec, target, backend, snapshot_reader(snapshot), snapshot_trees(snapshot))

    first = environment_build(needed(42).pk)
    assert first.error == ""
    assert said_by(first, "import mine; print(mine.answer)") == "42"
    again = needed(42)
    assert (again.pk, again.state, again.build_count) == (first.pk, EnvironmentState.READY, 1)
    changed = environment_build(needed(43).pk)
    assert changed.pk != first.pk
    assert said_by(changed, "import mine; print(mine.answer)") == "43"


def test_packages_of_one_source_may_need_each_other_and_a_wheel_is_taken_as_it_is(index: Index, order: Order) -> None:
    index.add_wheel("ready", "2.0", module="made = 'by hand'")
    wheel = index.files.pop("ready-2.0-py3-none-any.whl")
    index.add_source("packed", "1.0", action="pass")
    archive = index.files.pop("packed-1.0.tar.gz")
    metadata = "Requires-Dist: second\\nRequires-Dist: ready>=2\\n"
    files = below("first", package("first", metadata=metadata)) | below("second", package("second"))
    made = {"dist/ready-2.0-py3-none-any.whl": wheel, "dist/packed-1.0.tar.gz": archive}
    paths = ("first", "second", *made)
    sources = [Source(path=path, where="r.txt:1") for path in paths]
    built = environment_build(with_sources(order(), {**files, **made}, *sources).pk)
    assert built.error == ""
    assert sorted(lock_packages(built.lock)) == ["first==1.0", "packed==1.0", "ready==2.0", "second==1.0"]
    assert said_by(built, "import first, second, packed, ready; print(ready.made)") == "by hand"


def test_the_lock_alone_builds_the_same_again(index: Index, order: Order) -> None:
    index.add_wheel("leaf", "1.0")
    files = package(metadata="Requires-Dist: leaf\\n", module="answer = 42")
    first = environment_build(with_sources(order("leaf"), files, Source(path=".", where="r.txt:1")).pk)
    assert first.error == ""
    again = order("leaf")
    again.spec |= {"sources": first.spec["sources"], "lock": first.lock}
    again.save(update_fields=["spec"])
    built = environment_build(again.pk)
    assert built.error == ""
    assert built.lock == first.lock
    assert said_by(built, "import mine; print(mine.answer)") == "42"


def test_a_lock_opens_no_files_but_those_that_were_asked_for(index: Index, order: Order) -> None:
    index.add_wheel("leaf", "1.0")
    theirs = with_sources(order("leaf"), package(), Source(path=".", where="r.txt:1"))
    digest = theirs.spec["sources"]["."]["tree"]
    forged = order("leaf", lock=f"# source . mine==1.0 {digest}\n")
    built = environment_build(forged.pk)
    assert "names files of . that the run did not ask for" in built.error


def test_a_marker_that_does_not_hold_leaves_a_package_out(index: Index, order: Order) -> None:
    index.add_wheel("leaf", "1.0")
    source = Source(path=".", where="r.txt:1", marker='python_version < "3"')
    built = environment_build(with_sources(order("leaf"), package(), source).pk)
    assert (built.error, lock_packages(built.lock)) == ("", ["leaf==1.0"])


def test_a_package_that_does_not_build_is_named_with_its_words(index: Index, order: Order) -> None:
    files = below("lib", package(action="raise SystemExit('graphviz/cgraph.h: No such file')"))
    failed = environment_build(with_sources(order(), files, Source(path="lib", where="r.txt:1")).pk)
    assert failed.state == EnvironmentState.FAILED
    assert failed.error == "Building the package in ./lib failed: graphviz/cgraph.h: No such file"


def test_a_package_that_is_no_package_is_named(index: Index, order: Order) -> None:
    files = {"lib/pyproject.toml": "[build-system", "lib/x.py": ""}
    failed = environment_build(with_sources(order(), files, Source(path="lib", where="r.txt:1")).pk)
    assert failed.error.startswith("Building the package in ./lib failed: Invalid `pyproject.toml` TOML parse error")
    assert str(settings.DATA_DIR) not in failed.error


@pytest.mark.needs("root")
def test_the_code_of_a_package_reaches_no_other_environment_and_no_cache(
    index: Index, order: Order, build_log: Log
) -> None:
    index.add_wheel("leaf", "1.0")
    victim = environment_build(order("leaf").pk)
    (module,) = Path(victim.path).glob("lib/python3*/site-packages/leaf.py")
    data = settings.DATA_DIR
    tries = {
        "module": module,
        "environments": data / "environments" / "planted",
        "cache": data / "build" / "cache" / "uv" / "planted",
        "home": data / "build" / "home" / "planted",
        "tools": data / "tools" / "planted",
        "given": data / "tools" / "builds" / "planted",
        "blobs": blob_path("0" * 64).parent / "planted",
        "tasks": data / "tasks" / "planted",
    }
    action = "\n    ".join(
        [
            "print('uid', os.getuid(), os.getgroups(), file=sys.stderr)",
            f"for name, path in { {name: str(path) for name, path in tries.items()}!r}.items():",
            "    for attempt in (lambda p: os.chmod(p, 0o777), lambda p: open(p, 'a'), os.unlink):",
            "        try: attempt(path); print('REACHED', name, file=sys.stderr)",
            "        except OSError as error: print(name, type(error).__name__, file=sys.stderr)",
            "given = [os.path.join(p, n) for p, _, names in os.walk("
            f"{str(data / 'tools' / 'builds')!r}) for n in names]",
            "print('given', len(given), [path for path in given if os.access(path, os.W_OK)], file=sys.stderr)",
        ]
    )
    built = environment_build(with_sources(order("leaf"), package(action=action), Source(path=".", where="r.txt:1")).pk)
    said = build_log(built)
    assert built.error == ""
    assert "REACHED" not in said
    assert said.count("PermissionError") + said.count("FileNotFoundError") == 3 * len(tries)
    builder = backend_of(built.target).identities.build.uid
    (uid,) = re.findall(r"^uid (\d+) \[(?:\d+)\]$", said, re.MULTILINE)
    assert int(uid) not in (0, builder)
    assert "given 2 []" in said
    assert environment_is_intact(victim)


def test_no_code_of_a_wheel_runs_while_it_is_installed(index: Index, order: Order) -> None:
    theirs = settings.DATA_DIR / f"theirs-{uuid.uuid4().hex}"
    theirs.mkdir()
    theirs.chmod(0o777)
    ran = theirs / "ran"
    stands_in = theirs / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    (stands_in / "encodings").mkdir(parents=True)
    for name in ("os.py", "encodings/__init__.py"):
        (stands_in / name).write_text(f"import posix\nposix.open({str(ran)!r}, posix.O_CREAT | posix.O_WRONLY)\n")
    code = f"import pathlib; pathlib.Path({str(ran)!r}).touch()\n"
    index.add_wheel(
        "evil", "1.0", files={"evil.pth": code, "evil-1.0.data/data/pyvenv.cfg": f"home = {theirs / 'bin'}\n"}
    )
    wheel = {"evil-1.0-py3-none-any.whl": index.files.pop("evil-1.0-py3-none-any.whl")}
    built = environment_build(with_sources(order(), wheel, Source(path=next(iter(wheel)), where="r.txt:1")).pk)
    assert not ran.exists()
    assert built.error == ""


def test_where_wheels_alone_are_allowed_no_code_of_a_package_is_run(
    index: Index, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_NO_BUILD", "1")
    built = environment_build(with_sources(order(), package(), Source(path=".", where="r.txt:1")).pk)
    assert ". has to be built, and an administrator allows wheels alone here (UV_NO_BUILD)" in built.error
    index.add_wheel("ready", "2.0")
    wheel = {"ready-2.0-py3-none-any.whl": index.files.pop("ready-2.0-py3-none-any.whl")}
    built = environment_build(with_sources(order(), wheel, Source(path=next(iter(wheel)), where="r.txt:1")).pk)
    assert built.error == ""


@pytest.mark.needs("root")
def test_no_run_sees_the_files_of_a_package_while_it_is_built(index: Index, order: Order, build_log: Log) -> None:
    given = settings.DATA_DIR / "tools" / "builds"
    action = f"[print('MODE', oct(os.stat(e).st_mode), file=sys.stderr) for e in os.scandir({str(given)!r})]"
    built = environment_build(with_sources(order(), package(action=action), Source(path=".", where="r.txt:1")).pk)
    assert built.error == ""
    assert "MODE 0o40750" in build_log(built)


def test_an_index_that_a_package_names_itself_is_not_asked(index: Index, order: Order) -> None:
    other = Index()
    try:
        other.add_wheel("leaf", "9.0")
        index.add_wheel("leaf", "1.0")
        files = package(metadata="Requires-Dist: leaf\\n")
        files["pyproject.toml"] += (
            f'[[tool.uv.index]]\nname = "other"\nurl = "{other.url}"\n[tool.uv.sources]\nleaf = {{ index = "other" }}\n'
        )
        built = environment_build(with_sources(order(), files, Source(path=".", where="r.txt:1")).pk)
        assert (built.error, other.requests) == ("", [])
        assert lock_packages(built.lock) == ["leaf==1.0", "mine==1.0"]
    finally:
        other.stop()
