import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from runs.errors import SnapshotRefused, SnapshotTooLarge
from runs.models import Snapshot
from runs.snapshots import snapshot_from_folder, snapshot_paths, snapshot_plan
from runs.snapshots.git import git_facts, without_credentials

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "lib").mkdir(parents=True)
    (folder / "train.py").write_text("print(1)")
    (folder / "lib" / "net.py").write_text("x = 1")
    return folder


def git(folder: Path, *words: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", *words],
        cwd=folder,
        check=True,
        capture_output=True,
    )


def test_a_folder_is_taken_with_its_exec_bits(project: Path) -> None:
    (project / "train.py").chmod(0o755)
    files = {file.path: file for file in snapshot_plan(snapshot_from_folder(project))}
    assert set(files) == {"lib/net.py", "train.py"}
    assert files["train.py"].executable
    assert files["lib/net.py"].source.read_text() == "x = 1"


def test_only_the_first_ignore_file_counts(project: Path) -> None:
    for name in (".trainhouseignore", ".amlignore", ".gitignore"):
        (project / f"no{name}").write_text("x")
        (project / name).write_text(f"no{name}\n")
    assert "no.trainhouseignore" not in snapshot_paths(snapshot_from_folder(project))
    assert "no.amlignore" in snapshot_paths(snapshot_from_folder(project))
    (project / ".trainhouseignore").unlink()
    assert "no.amlignore" not in snapshot_paths(snapshot_from_folder(project))
    (project / ".amlignore").unlink()
    assert "no.gitignore" not in snapshot_paths(snapshot_from_folder(project))


@pytest.mark.parametrize("kind", ["link to a file", "link to a folder", "dangling link", "pipe"])
def test_what_is_no_plain_file_is_refused_by_name_unless_it_is_ignored(project: Path, kind: str) -> None:
    odd = project / "lib" / "odd"
    if kind == "pipe":
        os.mkfifo(odd)
    else:
        targets = {"link to a file": "/etc/passwd", "link to a folder": "/etc", "dangling link": "/nonexistent"}
        odd.symlink_to(targets[kind])
    with pytest.raises(SnapshotRefused, match="'lib/odd' is a"):
        snapshot_from_folder(project)
    (project / ".gitignore").write_text("odd\n")
    assert snapshot_paths(snapshot_from_folder(project)) == [".gitignore", "lib/net.py", "train.py"]


def test_an_ignored_folder_is_not_walked_into(project: Path) -> None:
    (project / "data").mkdir()
    os.mkfifo(project / "data" / "pipe")
    (project / ".gitignore").write_text("data/\n")
    assert "data/pipe" not in snapshot_paths(snapshot_from_folder(project))


def test_limits_count_after_ignoring(project: Path, settings) -> None:
    settings.ENV = replace(settings.ENV, snapshot_max_files=3, snapshot_max_bytes=1000)
    (project / "big.bin").write_bytes(bytes(2000))
    with pytest.raises(SnapshotTooLarge, match=r"The largest: 'big\.bin' \(2\.0 kB\)"):
        snapshot_from_folder(project)
    (project / ".gitignore").write_text("*.bin\n")
    assert snapshot_from_folder(project).file_count == 3


@pytest.mark.parametrize(("path", "words"), [("relative/path", "not an absolute path"), ("/nonexistent", "no folder")])
def test_a_path_that_is_no_folder_is_refused(path: str, words: str) -> None:
    with pytest.raises(SnapshotRefused, match=words):
        snapshot_from_folder(path)


def test_a_name_that_is_no_utf8_is_refused_readably(project: Path) -> None:
    (Path(os.fsdecode(os.fsencode(project) + b"/\xff.py"))).write_text("")
    with pytest.raises(SnapshotRefused, match="not valid UTF-8") as refusal:
        snapshot_from_folder(project)
    str(refusal.value).encode()


@pytest.mark.needs("git")
def test_git_tells_remote_branch_commit_and_whether_files_differ(project: Path) -> None:
    git(project, "init", "-q", "-b", "topic")
    assert snapshot_from_folder(project).git == {}
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "First")
    git(project, "remote", "add", "origin", "https://me:s3cret@example.org/team/project.git")
    facts = snapshot_from_folder(project).git
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=project, capture_output=True, text=True).stdout.strip()
    assert facts == {
        "remote": "https://example.org/team/project.git",
        "branch": "topic",
        "commit": commit,
        "dirty": False,
    }
    (project / "train.py").write_text("print(2)")
    assert snapshot_from_folder(project).git["dirty"] is True
    assert git_facts(project / "lib")["dirty"] is False


@pytest.mark.needs("git", "root")
def test_a_repository_of_another_user_runs_nothing_with_the_servers_rights(project: Path, tmp_path: Path) -> None:
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "First")
    told = tmp_path / "told"
    told.mkdir(mode=0o777)
    told.chmod(0o777)
    git(project, "config", "filter.evil.clean", f"sh -c 'id -u > {told}/uid; cat'")
    (project / ".gitattributes").write_text("* filter=evil\n")
    (project / "train.py").write_text("print(2)")
    for path in (project, *project.rglob("*")):
        os.chown(path, 200_005, 200_005, follow_symlinks=False)
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(0o755)
    assert git_facts(project)["commit"]
    assert not (told / "uid").exists() or (told / "uid").read_text().strip() == "200005"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:secret@example.org/a.git", "https://example.org/a.git"),
        ("https://token@example.org:8443/a.git", "https://example.org:8443/a.git"),
        ("git@example.org:team/a.git", "git@example.org:team/a.git"),
        ("ssh://git@example.org/a.git", "ssh://example.org/a.git"),
        ("/srv/git/a.git", "/srv/git/a.git"),
    ],
)
def test_a_remote_is_kept_without_its_password(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


def test_the_same_files_are_one_snapshot_and_one_content(project: Path) -> None:
    first = snapshot_from_folder(project)
    blobs = {file.source.stat().st_ino for file in snapshot_plan(first)}
    assert snapshot_from_folder(project).pk == first.pk
    (project / "copy.py").write_text("print(1)")
    second = snapshot_plan(snapshot_from_folder(project))
    assert Snapshot.objects.count() == 2
    assert {file.source.stat().st_ino for file in second} == blobs


def test_the_store_is_for_the_servers_user_alone(project: Path) -> None:
    source = snapshot_plan(snapshot_from_folder(project))[0].source
    assert source.stat().st_mode & 0o777 == 0o600
    for folder in (source.parent, source.parents[1], source.parents[2]):
        assert folder.stat().st_mode & 0o077 == 0
