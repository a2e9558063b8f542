"""Packages from git repositories: which lines are taken, and real builds from one that is served over HTTP."""

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from runs.environments import environment_build, wishes_of
from runs.environments.lock import lock_packages, lock_sources
from runs.environments.requirements import Requirements, requirements_read
from runs.environments.sources import Source, sources_described
from runs.models import Environment
from runs.spec import RunSpec
from runs.states import EnvironmentState
from tests.runs.environments.index import Index
from tests.runs.environments.test_source_builds import package, said_by

Order = Callable[..., Environment]

pytestmark = pytest.mark.needs("git")


def read(line: str, *, allow_urls: bool = True) -> Requirements:
    return requirements_read("r.txt", lambda path, size: line.encode()[:size], allow_urls=allow_urls)


@pytest.mark.parametrize(
    ("line", "path", "name", "extras", "marker"),
    [
        ("git+https://host.example/x.git", "git+https://host.example/x.git", "", (), ""),
        ("-e git+https://host.example/x.git@v1.0#egg=mine", "git+https://host.example/x.git@v1.0", "mine", (), ""),
        ("mine @ git+http://host:81/a/x@main", "git+http://host:81/a/x@main", "mine", (), ""),
        (
            "My.Own[b,a] @ git+https://h/x@0123abc#subdirectory=./lib/ ; python_version > '3'",
            "git+https://h/x@0123abc#subdirectory=lib",
            "my-own",
            ("a", "b"),
            'python_version > "3"',
        ),
        ("git+https://h/x#egg=mine[more]&subdirectory=lib", "git+https://h/x#subdirectory=lib", "mine", ("more",), ""),
        ("git+https://h/x ; os_name == 'nt'", "git+https://h/x", "", (), 'os_name == "nt"'),
    ],
)
def test_a_repository_is_read_as_pip_reads_it(
    line: str, path: str, name: str, extras: tuple[str, ...], marker: str
) -> None:
    found = read(line)
    assert found.problems == []
    (source,) = found.sources
    assert (source.path, source.name, source.extras, source.marker) == (path, name, extras, marker)
    assert "names a repository. Packages come from the configured index" in read(line, allow_urls=False).problems[0]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hg+https://host.example/x", "names a repository of hg; only git's can be used"),
        ("x @ svn+https://host.example/x", "names a repository of svn"),
        ("git+ssh://git@host.example/x.git", "names a repository that cannot be fetched"),
        ("git@host.example:x.git", "names a repository that cannot be fetched"),
        ("x @ git+file:///srv/x", "cannot be fetched"),
        ("git+https://me:word@host.example/x", "cannot be fetched"),
        ("git+https://word@host.example/x", "a host without a user"),
        ("git+https://h/x@-upload-pack=touch", "cannot be fetched"),
        ("git+https://h/x@a/../../b", "leave the rest away"),
        ("git+https://h/x#subdirectory=../../etc", "leave the rest away"),
        ("git+https://h/x#config=core.pager", "leave the rest away"),
        ("git+https://h/x --hash=sha256:" + "0" * 64, "has a hash"),
        ("x @ git+https://h/x --hash=sha256:" + "0" * 64, "which is locked by its commit"),
    ],
)
def test_a_repository_that_cannot_be_used_is_refused_by_its_line(line: str, words: str) -> None:
    found = read(line)
    assert (found.sources, found.requirements) == ([], [])
    assert found.problems[0].startswith("r.txt:1 ")
    assert words in found.problems[0]


def test_the_form_takes_repositories_too_where_they_are_allowed(settings) -> None:
    settings.ENV = replace(settings.ENV, allow_url_packages=True)
    wishes = wishes_of(RunSpec(pip_packages=("six", "mine @ git+https://h/x@v1")), None)
    assert wishes.lines == ("six",)
    assert [source.path for source in wishes.sources] == ["git+https://h/x@v1"]


@pytest.fixture
def served(open_folder: Path, settings) -> Iterator[str]:
    """The address of ``code.git``: a package at its top and another in ``lib``; tag v1, then a newer commit on main
    and a branch."""
    settings.ENV = replace(settings.ENV, allow_url_packages=True)
    work, bare = open_folder / "work", open_folder / "www" / "code.git"
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]

    def git(*words: str) -> None:
        environ = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
        subprocess.run(["git", *identity, *words], cwd=work, check=True, capture_output=True, env=environ)

    def commit(said: str) -> None:
        for folder, name in ((work, "mine"), (work / "lib", "other")):
            folder.mkdir(parents=True, exist_ok=True)
            for path, text in package(name, module=f"said = {said!r}").items():
                (folder / path).write_text(text)
        git("add", ".")
        git("commit", "-m", said)

    work.mkdir()
    git("init")
    commit("first")
    git("tag", "v1")
    commit("second")
    git("checkout", "-b", "fix/bug")
    commit("third")
    git("checkout", "main")
    git("clone", "--bare", ".", str(bare))
    subprocess.run(["git", "update-server-info"], cwd=bare, check=True)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(bare.parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"git+http://127.0.0.1:{server.server_address[1]}/code.git"
    server.shutdown()
    server.server_close()


def with_repository(environment: Environment, path: str, *, name: str = "") -> Environment:
    environment.spec |= {"sources": sources_described([Source(path=path, where="r.txt:1", name=name)], None)}
    environment.save(update_fields=["spec"])
    return environment


@pytest.mark.parametrize(
    ("more", "module", "said"),
    [("@v1", "mine", "first"), ("", "mine", "second"), ("@fix/bug", "mine", "third"), ("@main", "mine", "second")],
)
def test_a_repository_is_built_at_its_revision_and_locked_to_its_commit(
    index: Index, order: Order, served: str, more: str, module: str, said: str
) -> None:
    index.add_wheel("leaf", "1.0")
    built = environment_build(with_repository(order("leaf"), served + more, name=module).pk)
    assert built.error == ""
    assert said_by(built, f"import {module}; print({module}.said)") == said
    (locked,) = lock_sources(built.lock)
    assert locked.path == f"{served}@{locked.digest}"
    assert f"# source {served}@{locked.digest} mine==1.0 {locked.digest}\n" in built.lock
    assert lock_packages(built.lock) == ["leaf==1.0", "mine==1.0"]


def test_the_lock_builds_the_same_commit_when_the_branch_has_moved_on(index: Index, order: Order, served: str) -> None:
    index.add_wheel("leaf", "1.0")
    first = environment_build(with_repository(order("leaf"), f"{served}@v1#subdirectory=lib").pk)
    assert first.error == ""
    again = order("leaf")
    again.spec |= {"lock": first.lock}
    again.save(update_fields=["spec"])
    built = environment_build(again.pk)
    assert (built.error, built.lock) == ("", first.lock)
    assert said_by(built, "import other; print(other.said)") == "first"


@pytest.mark.parametrize(
    ("path", "name", "words"),
    [
        ("@gone", "", "the repository has no branch, tag or commit 'gone'"),
        ("@v1", "others", "is called mine, not others. Correct the line."),
        ("x", "", "not found"),
        ("@v1#subdirectory=none", "", "Building the package in git+http://"),
    ],
)
def test_what_cannot_be_built_is_said_with_the_repository(
    index: Index, order: Order, served: str, path: str, name: str, words: str
) -> None:
    failed = environment_build(with_repository(order(), served + path, name=name).pk)
    assert failed.state == EnvironmentState.FAILED
    assert served in failed.error
    assert words in failed.error


def test_a_machine_without_git_and_a_house_that_allows_none_say_so(
    index: Index, order: Order, served: str, settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.environments.repositories._PLACES", "/nowhere")
    assert "there is no git on the machine that builds" in environment_build(with_repository(order(), served).pk).error
    settings.ENV = replace(settings.ENV, allow_url_packages=False)
    assert "names a repository. Packages come from" in environment_build(with_repository(order("x"), served).pk).error
