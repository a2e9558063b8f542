"""Packages from files of the snapshot: the lines that name them, and what decides their environment."""

import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.backends.base import ComputeBackend
from runs.environments import wishes_of
from runs.environments.lock import LockedSource, LockReader, lock_packages, lock_sources, lock_with_sources
from runs.environments.request import environment_spec, spec_digest
from runs.environments.requirements import MOST_SOURCES, Requirements, requirements_read
from runs.errors import SnapshotRefused
from runs.models import Snapshot
from runs.snapshots import snapshot_reader, snapshot_trees, tree_files
from runs.snapshots.blobs import blob_store
from runs.snapshots.manifest import Entry, snapshot_keep
from runs.spec import RunSpec

FILES = {
    "pkg/pyproject.toml": "",
    "old/setup.py": "",
    "setup.py": "",
    "dist/x-1-py3-none-any.whl": "",
    "plain/a.py": "",
}


def read(*lines: str, files: dict[str, str] = FILES) -> Requirements:
    texts = {**files, "more/requirements.txt": "\n".join(lines)}
    return requirements_read(
        "more/requirements.txt", lambda path, size: texts[path].encode()[:size] if path in texts else None
    )


@pytest.mark.parametrize(
    ("line", "path", "extras", "marker"),
    [
        ("-e ./pkg", "pkg", (), ""),
        ("-e pkg", "pkg", (), ""),
        ("-e./pkg", "pkg", (), ""),
        ("--editable=pkg/", "pkg", (), ""),
        ("--editable ./pkg[b, A]", "pkg", ("a", "b"), ""),
        ("./pkg", "pkg", (), ""),
        ("./old[x] ; python_version > '3'", "old", ("x",), 'python_version > "3"'),
        ("-e .", ".", (), ""),
        ("-e .[all]", ".", ("all",), ""),
        ("./", ".", (), ""),
        ("-e './pkg'", "pkg", (), ""),
        ("./dist/x-1-py3-none-any.whl", "dist/x-1-py3-none-any.whl", (), ""),
        ("dist/x-1-py3-none-any.whl  # built by hand", "dist/x-1-py3-none-any.whl", (), ""),
    ],
)
def test_a_package_of_the_source_is_read_as_pip_reads_it(
    line: str, path: str, extras: tuple[str, ...], marker: str
) -> None:
    found = read(line)
    assert found.problems == []
    (source,) = found.sources
    assert (source.path, source.extras, source.marker) == (path, extras, marker)
    assert source.where == "more/requirements.txt:1"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-e ../pkg", "asks for '../pkg', which lies outside the source folder"),
        ("./pkg/../../x", "lies outside the source folder"),
        ("/srv/pkg", "asks for '/srv/pkg', which lies outside"),
        ("-e /srv/pkg[x]", "asks for '/srv/pkg', which lies outside"),
        ("~/pkg", "lies outside"),
        ("-e gone", "asks for 'gone', and the source folder has no gone/pyproject.toml and no gone/setup.py"),
        ("./plain", "the source folder has no plain/pyproject.toml and no plain/setup.py"),
        ("./dist/y.whl", "asks for './dist/y.whl', which is not in the source folder"),
        ("./dist/y.tar.bz2", "a package is a folder, a wheel, or an archive"),
        ("-e", "has -e without a folder after it"),
        ("./pkg[a b!]", "has the extra 'a b!', which is no name of one"),
        ("./pkg ; import os", "has the marker 'import os', which cannot be read"),
        ("./pkg ; " + "(" * 1500, "cannot be read: it nests too deeply"),
        ("./pkg --hash=sha256:" + "0" * 64, "has a hash for './pkg', whose files are part of the source anyway"),
        ("-e file:///srv/pkg", "names an address without a package"),
    ],
)
def test_a_package_that_cannot_be_had_is_refused_by_its_line(line: str, words: str) -> None:
    found = read("", line)
    assert found.sources == []
    (problem,) = found.problems
    assert problem.startswith("more/requirements.txt:2 ")
    assert words in problem


def test_a_constraint_is_no_package_from_files_and_there_are_not_too_many() -> None:
    (problem,) = read("-c c.txt", files={**FILES, "more/c.txt": "./pkg"}).problems
    assert "no package from files" in problem
    assert "a run may have 50 of them" in read(*["./pkg"] * (MOST_SOURCES + 1)).problems[0]


@given(st.text(st.sampled_from("./\\~[]; -e@:'\"p%$\u2028"), max_size=12))
def test_no_line_raises(line: str) -> None:
    read(f"-e {line}")
    read(line)


def kept(**texts: str) -> Snapshot:
    """A snapshot; ``pkg__a_py="…"`` is the file pkg/a.py."""
    entries = []
    for name, text in texts.items():
        blob = blob_store(io.BytesIO(text.encode()).read)
        path = name.replace("__", "/")
        path = path[: -len("_py")] + ".py" if path.endswith("_py") else path[: -len("_txt")] + ".txt"
        entries.append(Entry(path=path, sha256=blob.sha256, size_bytes=blob.size_bytes))
    return snapshot_keep(entries, git={})


@pytest.fixture
def digest(backend: ComputeBackend) -> Callable[..., str]:
    def of(**texts: str) -> str:
        snapshot = kept(**texts)
        spec = RunSpec(pip_requirements_file="r.txt")
        return spec_digest(environment_spec(spec, backend, snapshot_reader(snapshot), snapshot_trees(snapshot)))

    return of


def test_the_same_package_shares_an_environment_and_a_changed_one_has_its_own(digest: Callable[..., str]) -> None:
    first = digest(r_txt="-e ./pkg", pkg__setup_py="1", train_py="1")
    assert digest(r_txt="# the same\n./pkg\n./pkg", pkg__setup_py="1", train_py="2") == first
    assert digest(r_txt="-e ./pkg", pkg__setup_py="2", train_py="1") != first
    assert digest(r_txt="-e ./pkg", pkg__setup_py="1", pkg__new_py="", train_py="1") != first
    assert digest(r_txt="-e ./pkg[x]", pkg__setup_py="1", train_py="1") != first
    assert digest(r_txt="-e .", setup_py="1") != digest(r_txt="-e .", setup_py="2")


def test_a_plain_environment_is_described_as_before(backend: ComputeBackend) -> None:
    assert "sources" not in environment_spec(RunSpec(), backend)


@pytest.mark.django_db
def test_a_part_of_a_snapshot_is_found_by_its_digest_alone() -> None:
    snapshot = kept(a__b__c_py="c", a__d_py="d", e_py="e", ab_py="x")
    trees = snapshot_trees(snapshot)
    part = trees("a")
    assert part is not None
    assert trees("nothing") is None
    one = trees("a/d.py")
    snapshot.delete()
    assert [entry.path for entry in tree_files(part)] == ["b/c.py", "d.py"]
    assert [entry.path for entry in tree_files(one or "")] == ["d.py"]
    with pytest.raises(SnapshotRefused, match="are not in the store any more"):
        tree_files("0" * 64)


@pytest.mark.parametrize(
    "line",
    ['["../out.py","{0}",false]', '["/tmp/out.py","{0}",false]', '["a.py","../{0}",false]', '["a.py"]', "no list"],
)
def test_a_file_that_only_looks_like_a_part_of_a_source_is_not_laid_out(line: str) -> None:
    content = blob_store(io.BytesIO(b"content").read).sha256
    listed = blob_store(io.BytesIO(line.replace("{0}", content).encode()).read).sha256
    with pytest.raises(SnapshotRefused, match="is no list of the files"):
        tree_files(listed)


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e"])
def test_no_line_of_the_resolver_becomes_two_of_the_lock(end: str) -> None:
    reader = LockReader()
    assert reader.line(f"mine==1.0 ; x{end}# source . mine==1.0 {'a' * 64}{end} \\")


@pytest.mark.django_db
def test_the_problems_of_a_file_name_it_before_anything_is_built() -> None:
    snapshot = kept(r_txt="six\n./pkg\n")
    (problem,) = wishes_of(RunSpec(pip_requirements_file="r.txt"), snapshot_reader(snapshot)).problems
    assert (problem.field, problem.message[:7]) == ("pip_requirements_file", "r.txt:2")


def test_a_lock_keeps_packages_from_files_in_lines_of_their_own() -> None:
    source = LockedSource(path="my pkg/ü", name="my-pkg", version="1.0", digest="ab" * 32)
    wheel = "my-pkg @ file:///tmp/x.whl \\\n    --hash=sha256:00\nsix==1.17 \\\n    --hash=sha256:11\n"
    lock = lock_with_sources(wheel, [source], addresses={"file:///tmp/x.whl"})
    assert lock == f"six==1.17 \\\n    --hash=sha256:11\n# source my%20pkg/%C3%BC my-pkg==1.0 {'ab' * 32}\n"
    assert lock_sources(lock) == [source]
    assert lock_packages(lock) == ["six==1.17", "my-pkg==1.0"]
