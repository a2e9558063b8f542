"""What a script on the local target cannot do: tried for real, by a script that runs as a task of the platform."""

import json
import os
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from compute.errors import LaunchRefused
from compute.plan import EnvironmentRef
from config.database import sqlite as sqlite_settings
from tests.compute.plans import PYTHON, finished, launched, output_of, script_plan, seen, wait_for

pytestmark = pytest.mark.needs("root")

#: Tries every line of ``tries.json`` (a name, a kind and a path) and prints what came of it.
BURGLAR = """
import json, os, signal, subprocess

def read(path):
    with open(path, "rb") as file:
        file.read(1)

def write(path):
    with open(path, "ab") as file:
        file.write(b"x")

KINDS = {
    "read": read,
    "write": write,
    "list": os.listdir,
    "make": lambda path: open(path + "/planted", "w").close(),
    "remove": os.unlink,
    "link": lambda path: os.link(path, "stolen"),
    "own": lambda path: os.chmod(path, 0o777),
    "signal": lambda pid: os.kill(int(pid), signal.SIGTERM),
    "become": lambda uid: os.setuid(int(uid)),
}
for kind, target in json.load(open("tries.json")):
    try:
        KINDS[kind](target)
    except OSError as error:
        print(json.dumps([kind, target, type(error).__name__]))
    else:
        print(json.dumps([kind, target, "DONE"]))
"""


def tries(backend, *wishes: tuple[str, object]) -> dict[tuple[str, str], str]:
    """What each of ``wishes`` ends with when a task tries it: ``DONE``, or the name of the exception."""
    text = json.dumps([(kind, str(target)) for kind, target in wishes])
    handle = launched(backend, BURGLAR, files={"tries.json": text})
    assert finished(backend, handle).exit.code == 0, output_of(backend, handle)
    lines = map(json.loads, output_of(backend, handle).splitlines())
    return {(kind, target): outcome for kind, target, outcome in lines}


def refused(outcomes: dict[tuple[str, str], str]) -> bool:
    assert outcomes
    assert set(outcomes.values()) == {"PermissionError"}, outcomes
    return True


def test_a_task_may_do_what_it_needs(walled):
    shared = walled.folders.tools
    outcomes = tries(walled, ("write", "mine"), ("list", "."), ("read", PYTHON), ("list", shared))
    assert set(outcomes.values()) == {"DONE"}


def test_a_task_does_not_learn_which_environments_others_have(walled):
    assert refused(tries(walled, ("list", walled.folders.environments)))


def test_a_task_cannot_read_the_database_or_the_secret_key(walled, settings):
    database = walled.folders.data / "trainhouse.sqlite3"
    sqlite_settings(database)
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE secrets (word)")
        key = Path(settings.DATA_DIR) / "secret.key"
        log = database.with_name(database.name + "-wal")
        assert key.exists()
        assert log.exists()
        wishes = [(kind, path) for kind in ("read", "write", "link", "own") for path in (database, log, key)]
        assert refused(tries(walled, *wishes))
    connection.close()


def test_a_task_cannot_reach_another_task(walled):
    other = launched(walled, "import time\nprint('up', flush=True)\ntime.sleep(600)\n")
    wait_for(lambda: "up" in output_of(walled, other))
    folder = walled.folders.task(other.key)
    guard = json.loads((folder / "started").read_text())["guard"]
    wishes = [("list", folder), ("list", folder.parent), ("make", folder.parent), ("signal", guard)]
    wishes += [("read", folder / name) for name in ("token", "task.json", "work/train.py", "spool/output")]
    wishes += [("write", folder / "stop"), ("read", f"/proc/{guard}/environ"), ("become", folder.stat().st_uid)]
    assert refused(tries(walled, *wishes))
    assert seen(walled, other).liveness == "alive"


def test_a_task_cannot_write_an_environment_the_tools_or_the_package_cache(walled):
    environment = _sealed_environment(walled)
    (walled.folders.build / "cache" / "uv").mkdir(parents=True, exist_ok=True)
    tools = next(walled.folders.tools.iterdir(), None) or Path(_tools(walled))
    module = environment / "lib" / "module.py"
    harness = tools / "trainhouse" / "harness" / "__main__.py"
    outcomes = tries(
        walled,
        *[(kind, path) for kind in ("write", "remove", "own", "link") for path in (module, harness)],
        *[("make", path) for path in (environment, environment / "lib", environment.parent, tools, tools.parent)],
        *[(kind, walled.folders.build / "cache" / "uv") for kind in ("list", "make")],
    )
    assert refused(outcomes)
    assert set(tries(walled, ("read", module), ("list", environment)).values()) == {"DONE"}


def test_a_task_cannot_reach_what_builds_are_told_or_what_they_do(walled, monkeypatch):
    monkeypatch.setenv("UV_INDEX_MINE_PASSWORD", "hush")
    monkeypatch.setenv("NETRC", "/etc/hostname")
    place = walled.build_apart("somebody")
    sleeper = ["/bin/sh", "-c", "echo $$ > pid; sleep 600"]
    with ThreadPoolExecutor(1) as pool:
        command = walled.build_command(sleeper, environ={}, apart="somebody")
        building = pool.submit(command.run, output=print, timeout_s=20)
        wait_for((place / "home" / "pid").exists)
        wait_for((place / "home" / "pid").read_text)
        pid = int((place / "home" / "pid").read_text())
        index = walled.folders.index
        assert (index / "netrc").exists()
        wishes = [("read", f"/proc/{pid}/environ"), ("signal", pid), ("list", place), ("make", place / "tmp")]
        wishes += [("list", index), ("read", index / "netrc"), ("make", index), ("make", index.parent / "apart")]
        wishes += [("list", walled.folders.build / "home"), ("list", walled.folders.caches)]
        assert refused(tries(walled, *wishes))
        os.kill(pid, signal.SIGKILL)
        assert building.result() != 0


def test_every_task_has_a_user_of_its_own_and_no_groups(walled):
    script = "import os\nprint(os.getuid(), os.geteuid(), os.getgid(), os.getgroups())\n"
    first, second = launched(walled, script), launched(walled, script)
    finished(walled, first), finished(walled, second)
    uids = {walled.folders.task(handle.key).stat().st_uid for handle in (first, second)}
    assert len(uids) == 2
    assert all(210001 <= uid <= 210900 for uid in uids)
    uid = walled.folders.task(first.key).stat().st_uid
    assert output_of(walled, first) == f"{uid} {uid} {uid} []\n"


def test_set_user_id_programs_give_nothing_back(walled):
    handle = launched(walled, "print([line for line in open('/proc/self/status') if line.startswith('NoNewPrivs')])\n")
    finished(walled, handle)
    assert output_of(walled, handle) == "['NoNewPrivs:\\t1\\n']\n"


def test_the_servers_environment_does_not_reach_the_script(walled, monkeypatch):
    monkeypatch.setenv("TRAINHOUSE_SECRET_KEY", "hush")
    monkeypatch.setenv("DATABASE_URL", "postgres://u:hush@db/x")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    handle = launched(walled, "import os\nprint(dict(os.environ))\n", environ={"EPOCHS": "3"})
    finished(walled, handle)
    said = output_of(walled, handle)
    assert "hush" not in said
    assert "'EPOCHS': '3'" in said
    assert "'HTTPS_PROXY': 'http://proxy:3128'" in said


def test_a_task_cannot_turn_the_servers_writing_against_other_files(walled):
    precious = walled.folders.data / "precious"
    precious.write_text("untouched")
    script = (
        "import os\n"
        "for name in ('server', 'stop'):\n"
        "    if os.path.lexists('../' + name): os.unlink('../' + name)\n"
        f"    os.symlink({str(precious)!r}, '../' + name)\n"
        "print('up', flush=True)\n"
        "import time; time.sleep(600)\n"
    )
    handle = launched(walled, script)
    wait_for(lambda: "up" in output_of(walled, handle))
    walled.announce(handle, "http://127.0.0.1:1")
    walled.stop(handle, grace_s=5)
    finished(walled, handle)
    assert precious.read_text() == "untouched"
    assert not (walled.folders.task(handle.key) / "stop").is_symlink()


def test_a_task_cannot_pass_another_file_off_as_its_output(walled):
    precious = walled.folders.data / "precious"
    precious.write_text("secret")
    precious.chmod(0o600)
    script = (
        "import os, socket\n"
        f"os.symlink({str(precious)!r}, 'outputs/link')\n"
        f"os.symlink({str(precious.parent)!r}, 'outputs/folder')\n"
        "os.mkfifo('outputs/pipe')\n"
        "open('outputs/real', 'w').write('mine')\n"
        "os.link('outputs/real', 'outputs/twin')\n"
        "open(b'outputs/\\xff', 'w').close()\n"
        "os.rename('../spool', '../spool-mine'); os.symlink('/etc', '../spool')\n"
    )
    handle = launched(walled, script)
    finished(walled, handle)
    assert [file.path for file in walled.outputs(handle)] == ["outputs/real", "outputs/twin"]
    for path in ("outputs/link", "outputs/folder/precious", "outputs/pipe", "outputs/../../task.json", "/etc/passwd"):
        with pytest.raises(FileNotFoundError):
            walled.open_output(handle, path)
        with pytest.raises(FileNotFoundError):
            walled.keep_output(handle, path, walled.folders.data / "kept")
    assert walled.collect(handle) == []
    for name in ("real", "twin"):
        assert walled.keep_output(handle, f"outputs/{name}", walled.folders.data / name) == 4
        assert (walled.folders.data / name).read_text() == "mine"
    assert precious.read_text() == "secret"


def test_a_hard_link_to_somebody_elses_file_is_no_output(walled):
    handle = launched(walled, "pass\n")
    finished(walled, handle)
    precious = walled.folders.data / "precious"
    precious.write_text("secret")
    os.link(precious, walled.folders.task(handle.key) / "work" / "outputs" / "hard")  # as if the kernel allowed it
    assert list(walled.outputs(handle)) == []
    with pytest.raises(FileNotFoundError):
        walled.keep_output(handle, "outputs/hard", walled.folders.data / "kept")


def test_a_forged_exit_is_read_with_care(walled):
    handle = launched(walled, "open('../exit.json', 'w').write('[' * 100000)\nimport os; os.kill(os.getppid(), 9)\n")
    wait_for(lambda: seen(walled, handle).liveness == "alive" or seen(walled, handle).exit is None)
    walled.kill(handle)
    assert seen(walled, handle).exit is None


def test_a_fork_bomb_is_killed_whole(walled):
    script = "import os, time\nprint('up', flush=True)\nend = time.time() + 20\n" + (
        "while time.time() < end:\n    try:\n        if os.fork() and os.fork(): os._exit(0)\n"
        "    except OSError: pass\n    time.sleep(0.2)\n"
    )
    plan = script_plan(walled, "import resource\nresource.setrlimit(resource.RLIMIT_NPROC, (40, 40))\n" + script)
    handle = walled.launch(plan)[0]
    wait_for(lambda: "up" in output_of(walled, handle))
    assert walled.kill(handle) > 0
    assert walled.kill(handle) == 0


def test_a_data_folder_that_tasks_cannot_enter_is_said_so(walled):
    walled.folders.data.chmod(0o700)
    with pytest.raises(LaunchRefused, match=f"may not enter {walled.folders.data}"):
        walled.launch(script_plan(walled, "pass\n"))
    with pytest.raises(PermissionError, match=f"may not enter {walled.folders.data}"):
        walled.build_command(["/bin/true"], environ={}).run(output=lambda piece: None, timeout_s=5)
    walled.folders.data.chmod(0o711)


def _sealed_environment(backend) -> Path:
    root = backend.environment_root()
    environment = root / "digest"
    script = f"mkdir -p {environment}/lib && echo 1 > {environment}/lib/module.py"
    assert backend.build_command(["/bin/sh", "-c", script], environ={}).run(output=print, timeout_s=10) == 0
    backend.seal(environment)
    return environment


def _tools(backend) -> str:
    handle = launched(backend, "pass\n", environment=EnvironmentRef(digest="d", python=Path(PYTHON), path=Path("/usr")))
    finished(backend, handle)
    return handle.native["tools"]


def test_outputs_too_deep_for_any_path_are_passed_over_and_the_rest_is_kept(walled):
    script = (
        "import os\n"
        "open('outputs/model', 'w').write('mine')\n"
        "inside = os.open('outputs', os.O_RDONLY)\n"
        "for _ in range(60):\n"
        "    os.mkdir('d' * 200, dir_fd=inside)\n"
        "    inside = os.open('d' * 200, os.O_RDONLY, dir_fd=inside)\n"
        "    os.close(os.open('file', os.O_CREAT | os.O_WRONLY, dir_fd=inside))\n"
    )
    handle = launched(walled, script)
    finished(walled, handle)
    found = [file.path for file in walled.outputs(handle)]
    assert found[-1] == "outputs/model"
    assert 1 < len(found) < 10
    for number, path in enumerate(found):
        walled.keep_output(handle, path, walled.folders.data / "kept" / str(number) / path)
    walled.cleanup(handle)
    assert not walled.folders.task(handle.key).exists()


def test_keeping_a_hole_of_terabytes_costs_no_disk_and_no_time(walled):
    script = (
        "import os\n"
        "with open('outputs/huge', 'wb') as file:\n"
        "    file.write(b'head'); file.truncate(1 << 42); file.seek(1 << 30); file.write(b'middle')\n"
        "os.link('outputs/huge', 'outputs/twin')\n"
    )
    handle = launched(walled, script)
    finished(walled, handle)
    kept = walled.folders.data / "kept"
    assert walled.keep_output(handle, "outputs/twin", kept) == 1 << 42
    assert kept.stat().st_size == 1 << 42
    assert kept.stat().st_blocks * 512 < 1 << 20
    with kept.open("rb") as file:
        assert file.read(4) == b"head"
        file.seek(1 << 30)
        assert file.read(7) == b"middle\0"


def test_a_task_that_shoots_at_its_own_user_without_end_is_killed_all_the_same(walled):
    script = (
        "import os, signal\n"
        "print('up', flush=True)\n"
        "while True:\n"
        "    try: os.kill(-1, signal.SIGKILL)\n"
        "    except ProcessLookupError: pass\n"
    )
    handle = launched(walled, script)
    wait_for(lambda: "up" in output_of(walled, handle))
    assert walled.kill(handle) > 0
    assert walled.kill(handle) == 0


@pytest.mark.parametrize(
    "document",
    [
        '{"code": 9007199254740000, "ended_at": 1}',
        '{"code": 0, "ended_at": 1e300}',
        '{"signal": 2147483648, "ended_at": 1}',
    ],
)
def test_numbers_that_no_exit_has_are_no_exit(walled, document):
    script = f"open('../exit.json', 'w').write({document!r})\nimport time; print('up', flush=True); time.sleep(60)\n"
    handle = launched(walled, script)
    wait_for(lambda: "up" in output_of(walled, handle))
    assert seen(walled, handle).exit is None
    walled.kill(handle)
