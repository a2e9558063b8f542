"""Commands with a build's rights: whose they are, what they see, and that nothing of them is left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.compute.plans import commands_with, wait_for


def ran(backend, script: str, *, timeout_s: float = 20, **environ: str) -> tuple[int, str]:
    said: list[bytes] = []
    command = backend.build_command(["/bin/sh", "-c", script], environ=environ)
    code = command.run(output=said.append, timeout_s=timeout_s)
    return code, b"".join(said).decode()


def test_output_and_exit_code_arrive(backend):
    assert ran(backend, "echo one; echo two >&2; exit 3") == (3, "one\ntwo\n")


def test_a_command_killed_by_a_signal_has_its_number_negative(backend):
    assert ran(backend, "kill -SEGV $$")[0] == -signal.SIGSEGV
    assert ran(backend, "kill -KILL $$")[0] == -signal.SIGKILL


def test_output_arrives_while_the_command_runs(backend):
    pieces = []
    command = backend.build_command(["/bin/sh", "-c", "echo first; sleep 0.3; echo second"], environ={})
    command.run(output=lambda piece: pieces.append((time.monotonic(), piece)), timeout_s=20)
    assert [piece for _, piece in pieces] == [b"first\n", b"second\n"]
    assert pieces[1][0] - pieces[0][0] > 0.2


def test_a_program_that_is_not_there_is_named(backend):
    said = []
    code = backend.build_command(["/no/such/program"], environ={}).run(output=said.append, timeout_s=10)
    assert code == 127
    assert b"/no/such/program cannot be started" in b"".join(said)


def test_a_build_sees_its_own_home_the_package_index_and_what_it_is_given(backend, monkeypatch):
    monkeypatch.setenv("TRAINHOUSE_SECRET_KEY", "hush")
    monkeypatch.setenv("UV_INDEX_URL", "https://index.example/simple")
    monkeypatch.setenv("UV_CACHE_DIR", "/somewhere/else")
    _, said = ran(backend, "env; pwd; id -u; umask", EXTRA="given")
    build = backend.folders.build
    assert "hush" not in said
    lines = said.splitlines()
    for line in (f"HOME={build}/home", f"UV_CACHE_DIR={build}/cache/uv", "EXTRA=given", f"{build}/home", "0022"):
        assert line in lines
    assert "UV_INDEX_URL=https://index.example/simple" in lines
    assert str(backend.identities.build.owner) in lines


def test_what_a_build_leaves_in_its_home_is_no_librarys_and_no_programs_configuration_of_the_next(backend):
    python = "/usr/bin/python3"
    leave = f'd=$({python} -c "import site; print(site.getusersitepackages())"); mkdir -p "$d"; echo 1 > "$d/left.py"'
    assert ran(backend, f"mkdir -p ~/.config/uv; echo 'no-index = true' > ~/.config/uv/uv.toml; {leave}")[0] == 0
    code, said = ran(backend, f'echo "$XDG_CONFIG_HOME"; {python} -c "import left"')
    assert code == 1
    assert said.startswith("/nonexistent\n")
    assert "No module named 'left'" in said


def test_a_timeout_kills_everything_the_command_started(backend):
    mark = f"late-{time.monotonic_ns()}"
    child = f"setsid /usr/bin/python3 -c 'import time; time.sleep(600)' {mark}"
    with pytest.raises(TimeoutError, match="did not end within 1 s"):
        ran(backend, f"{child} & {child}", timeout_s=1)
    assert not commands_with(mark)


def test_what_a_command_leaves_running_dies_with_it(backend):
    mark = f"left-{time.monotonic_ns()}"
    code, said = ran(
        backend, f"setsid /usr/bin/python3 -c 'import time; time.sleep(600)' {mark} & sleep 0.2; echo done"
    )
    assert (code, said) == (0, "done\n")
    assert not commands_with(mark)


def test_a_listener_that_fails_stops_the_command(backend):
    mark = f"heard-{time.monotonic_ns()}"

    def listen(piece):
        raise RuntimeError("the disk is full")

    command = backend.build_command(
        ["/bin/sh", "-c", f"echo x; exec /usr/bin/python3 -c 'import time; time.sleep(600)' {mark}"], environ={}
    )
    with pytest.raises(RuntimeError, match="full"):
        command.run(output=listen, timeout_s=20)
    assert not commands_with(mark)


def test_a_build_dies_with_the_worker_that_runs_it(backend):
    mark = f"orphan-{time.monotonic_ns()}"
    worker = (
        "import sys; from pathlib import Path\n"
        "from compute.backends.local.builds import LocalBuildCommand\n"
        "from compute.backends.local.folders import Folders\n"
        "from compute.backends.local.identities import Identities\n"
        f"identities = Identities.parse('210000-210900', separate={backend.identities.separate})\n"
        f"argv = ('/usr/bin/python3', '-c', 'import time; time.sleep(600)', {mark!r})\n"
        f"folders = Folders(data=Path({str(backend.folders.data)!r}))\n"
        "command = LocalBuildCommand(argv=argv, environ={}, folders=folders, identity=identities.build)\n"
        "command.run(output=print, timeout_s=60)\n"
    )
    backend.environment_root()
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen([sys.executable, "-c", worker], cwd=root, env={**os.environ, "PYTHONPATH": path})
    wait_for(
        lambda: any("sleep" in command and "Identities" not in command for command in commands_with(mark).values())
    )
    process.kill()
    process.wait()
    wait_for(lambda: not commands_with(mark))


def test_sealing_takes_the_right_to_write_and_removal_still_works(backend):
    environment = backend.environment_root() / "digest"
    ran(
        backend,
        f"umask 077; mkdir -p {environment}/lib; echo 1 > {environment}/lib/m.py; ln -s /etc {environment}/link",
    )
    backend.seal(environment)
    backend.seal(environment)
    modes = {
        path.name: path.stat().st_mode & 0o777 for path in (environment, *environment.rglob("*")) if path.name != "link"
    }
    assert modes == {"digest": 0o555, "lib": 0o555, "m.py": 0o444}
    assert Path("/etc").stat().st_mode & 0o200
    backend.unseal_and_remove(environment)
    backend.unseal_and_remove(environment)
    assert not environment.exists()
    assert Path("/etc").is_dir()


@pytest.mark.needs("root")
def test_a_sealed_file_may_still_be_linked_into_the_next_environment(walled):
    cache, root = walled.folders.build / "cache" / "file", walled.environment_root()
    assert ran(walled, f"echo 1 > {cache}; mkdir {root}/a; ln {cache} {root}/a/file")[0] == 0
    walled.seal(root / "a")
    assert ran(walled, f"mkdir {root}/b; ln {cache} {root}/b/file") == (0, "")
