"""Ignore files: git's rules, in a time that nobody's upload can stretch."""

import subprocess
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runs.errors import SnapshotRefused
from runs.snapshots import ignore
from runs.snapshots.globs import pattern_of
from runs.snapshots.ignore import IgnoreRules

NAMES = st.text("ab.", min_size=1, max_size=5).filter(lambda name: name.strip("."))
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
GLOBS = st.one_of(st.text("ab.*?", min_size=1, max_size=6), st.sampled_from(["**", "[ab]", "[!a]*", "*.b", "a[a-b]?"]))
LINES = st.builds(
    lambda start, globs, end: start + "/".join(globs) + end,
    st.sampled_from(["", "/", "!", "**/"]),
    st.lists(GLOBS, min_size=1, max_size=3),
    st.sampled_from(["", "", "/"]),
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", folder], check=True)
    return folder


@pytest.mark.needs("git")
@settings(max_examples=250, deadline=None)
@given(lines=st.lists(LINES, min_size=1, max_size=4), paths=st.lists(PATHS, min_size=5, max_size=10))
@example(["*", "!a"], ["a/b", "a"])
@example(["a/**", "!a/b"], ["a/b", "a/c", "a"])
@example(["**/a/**/b"], ["a/b", "b/a/a/b", "a/b/a"])
@example(["a**b", "[!a]*"], ["aab", "a/b"])
def test_every_file_is_judged_as_git_does(repository, lines, paths):
    (repository / ".git" / "info" / "exclude").write_text("\n".join(lines))
    command = ["git", "-C", repository, "-c", "core.excludesFile=", "check-ignore", "--no-index", "--stdin"]
    said = subprocess.run(command, input="\n".join(paths), capture_output=True, text=True, check=False)
    rules = IgnoreRules(lines)
    found = {path for path in paths if rules.ignores_file(path) and not path.startswith(".git")}
    assert found == set(said.stdout.split()), said.stderr


@pytest.mark.parametrize(
    ("line", "path", "is_ignored"),
    [
        (r"\#a", "#a", True),
        (r"\!a", "!a", True),
        (r"a\ ", "a ", True),
        ("a  ", "a", True),
        ("[]a]", "]", True),
        ("[^a]", "b", True),
        ("[a", "[a", True),
        (r"[\]]x", "]x", True),
        ("a**b", "axxb", True),
        ("é*", "éte", True),
        ("/a", "b/a", False),
        ("a/", "a", False),
        ("a.b", "axb", False),
        ("?", "ab", False),
    ],
)
def test_signs_with_a_meaning(line, path, is_ignored):
    assert IgnoreRules([line]).ignores_file(path) == is_ignored


@pytest.mark.parametrize("line", ["a\\", "[z-a]", "x" * 3000])
def test_a_line_that_is_no_pattern_is_refused(line):
    with pytest.raises(SnapshotRefused, match="no ignore pattern"):
        IgnoreRules([line], source=".gitignore")


@pytest.mark.parametrize("line", ["*a" * 40 + "b", "*a" * 1000 + "b", "**/a/" * 100 + "b", "[a]*" * 500 + "b"])
@pytest.mark.parametrize("path", ["a" * 255, "/".join(["a"] * 500)])
def test_no_pattern_takes_more_than_a_moment(line, path):
    pattern = pattern_of(line)
    begun = time.thread_time()
    assert not pattern.matches(path.split("/"), is_folder=False)
    assert time.thread_time() - begun < 0.5


def test_an_ignore_file_that_takes_too_long_in_all_is_refused(monkeypatch):
    monkeypatch.setattr(ignore, "MOST_SECONDS", 0.05)
    rules = IgnoreRules(["*a*b"] * 5000, source=".amlignore")
    with pytest.raises(SnapshotRefused, match=r"\.amlignore takes too long"):
        any(rules.ignores_file(f"{number}" + "a" * 200) for number in range(1000))
