import posixpath
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runs.errors import SnapshotRefused
from runs.snapshots.ignore import IgnoreRules
from runs.snapshots.manifest import Entry, entry_candidates, manifest_digest
from runs.snapshots.paths import PathSet, clean_path

PIECES = st.sampled_from(["..", ".", "/", "a", "b.py", "\\", "~", "C:", "\0", "\n", "e\u0301", "\u00e9", " ", "\udcff"])
NAMES = st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=8).map("".join))


@given(NAMES)
@example("a/./b//c/")
@example("..")
@example("a/..")
def test_a_clean_path_stays_inside_and_is_its_own_clean_path(name: str) -> None:
    try:
        path = clean_path(name)
    except SnapshotRefused as refusal:
        str(refusal).encode()
        return
    assert path == posixpath.normpath(path)
    assert not path.startswith("/")
    assert ".." not in path.split("/")
    assert "\0" not in path
    assert "\\" not in path
    assert path == unicodedata.normalize("NFC", path)
    assert clean_path(path) == path


@pytest.mark.parametrize("name", ["a" * 256, "é" * 128, "/".join(["abc"] * 300)])
def test_names_longer_than_linux_or_the_database_take_are_refused(name: str) -> None:
    with pytest.raises(SnapshotRefused, match=r"255 bytes|characters"):
        clean_path(name)


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join), max_size=12))
def test_paths_that_are_taken_together_can_be_laid_out_together(names: list[str]) -> None:
    taken = PathSet()
    kept: set[str] = set()
    for name in names:
        clashes = name in kept or any(other.startswith(name + "/") or name.startswith(other + "/") for other in kept)
        if clashes:
            with pytest.raises(SnapshotRefused):
                taken.add_file(name, given=name)
        else:
            taken.add_file(name, given=name)
            kept.add(name)


@pytest.mark.parametrize(
    ("path", "stays"),
    [
        (".git/config", True),
        ("sub/.git/config", True),
        (".git", True),
        ("outputs/model.keras", True),
        ("logs/events", True),
        ("src/outputs/a.py", False),
        ("src/logs/handler.py", False),
        ("outputs.py", False),
        ("a/__pycache__/b.pyc", True),
        (".venv/bin/python", True),
        (".ipynb_checkpoints/a.ipynb", True),
        (".azureml/config.json", True),
        (".gitignore", False),
        ("train.py", False),
    ],
)
def test_what_is_always_left_behind(path: str, stays: bool) -> None:
    assert IgnoreRules(["!*", "!outputs/"]).ignores_file(path) is stays


def test_ignore_lines_follow_gits_rules() -> None:
    rules = IgnoreRules(["# a comment", "*.csv", "!keep.csv", "/top.txt", "data/", "doc/**/*.png", "space\\ "])
    ignored = ["a.csv", "x/b.csv", "top.txt", "data/a", "x/data/b/c.py", "doc/a/b/c.png", "space "]
    kept = ["keep.csv", "x/top.txt", "data", "doc.png", "a.py"]
    assert [path for path in ignored if not rules.ignores_file(path)] == []
    assert [path for path in kept if rules.ignores_file(path)] == []


def test_a_file_of_an_ignored_folder_cannot_be_brought_back_as_in_git() -> None:
    rules = IgnoreRules(["data/", "!data/keep.csv"])
    assert rules.ignores_file("data/keep.csv")


def test_the_likeliest_entry_scripts_come_first() -> None:
    paths = ["z.py", "main.py", "lib/train.py", "train.py", "lib/__init__.py", "a.txt"]
    assert entry_candidates(paths) == ["train.py", "main.py", "z.py", "lib/train.py"]


ENTRIES = st.lists(
    st.builds(
        Entry,
        path=st.text(min_size=1, max_size=5),
        sha256=st.sampled_from(["0" * 64, "1" * 64]),
        size_bytes=st.just(1),
        executable=st.booleans(),
    ),
    unique_by=lambda entry: entry.path,
    max_size=6,
)


@given(ENTRIES.flatmap(lambda entries: st.tuples(st.just(entries), st.permutations(entries))))
def test_the_order_of_files_does_not_change_the_digest(pair: tuple[list[Entry], list[Entry]]) -> None:
    assert manifest_digest(pair[0]) == manifest_digest(pair[1])


@given(ENTRIES, ENTRIES)
def test_other_files_have_another_digest(one: list[Entry], other: list[Entry]) -> None:
    same = {(e.path, e.sha256, e.executable) for e in one} == {(e.path, e.sha256, e.executable) for e in other}
    assert (manifest_digest(one) == manifest_digest(other)) is same
