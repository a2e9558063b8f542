"""What scripts do, well and badly, on the real local target: exits, signals, children, bytes, arguments."""

import hashlib
import json

import psutil
import pytest

from tests.e2e.house import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_a_script_that_returns_completes_and_every_line_is_there(house, person):
    run_id = person.submit("for i in range(1000): print('line', i)")
    row = house.wait_ended(run_id)
    assert (row["state"], row["end_reason"]) == ("completed", "succeeded"), house.story(run_id)
    assert house.output(run_id) == b"".join(b"line %d\n" % i for i in range(1000))


@pytest.mark.parametrize(
    ("script", "state", "reason", "words"),
    [
        ("import sys; sys.exit(3)", "failed", "script_failed", "exit code 3"),
        ("raise RuntimeError('no such luck')", "failed", "script_failed", "exit code 1"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "failed", "killed", "SIGKILL"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "failed", "killed", "SIGSEGV"),
    ],
)
def test_a_script_that_ends_badly_says_how(house, person, script, state, reason, words):
    run_id = person.submit(script)
    row = house.wait_ended(run_id)
    assert (row["state"], row["end_reason"]) == (state, reason), house.story(run_id)
    assert words in row["end_message"]
    page = person.get(f"/runs/{run_id}/").decode()
    assert words in page
    if "luck" in script:
        assert "RuntimeError: no such luck" in page


def test_children_that_a_script_leaves_behind_are_ended(house, person):
    script = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        "print(child.pid)\n"
    )
    run_id = person.submit(script)
    assert house.wait_ended(run_id)["state"] == "completed", house.story(run_id)
    child = int(house.output(run_id))
    wait_for(lambda: not psutil.pid_exists(child), timeout_s=10, what=f"the end of the child {child}")


def test_a_script_that_closes_its_output_goes_on(house, person):
    run_id = person.submit(
        "import os\nprint('before', flush=True)\nos.close(1)\nos.close(2)\nopen('outputs/x', 'w').write('y')"
    )
    assert house.wait_ended(run_id)["state"] == "completed", house.story(run_id)
    assert house.output(run_id) == b"before\n"
    assert person.get(f"/runs/{run_id}/files/{artifact_id(house, run_id, 'outputs/x')}/download") == b"y"


def test_bytes_that_are_no_text_are_kept_and_shown(house, person):
    raw = bytes(range(256)) + b"\xf0\x9f\n" + b"a\0b\n"
    run_id = person.submit(f"import os\nos.write(1, {raw!r})")
    assert house.wait_ended(run_id)["state"] == "completed", house.story(run_id)
    assert house.output(run_id) == raw
    assert person.status(f"/runs/{run_id}/logs/") == 200


AWKWARD = [
    ("--plain", "word"),
    ("--spaces", "two words  and more"),
    ("--quotes", 'it\'s "so"'),
    ("--lines", "first\nsecond\ttabbed"),
    ("--emoji", "🦊 é 漢 \u202e"),
    ("--shell", "$(touch /tmp/x); `id` | & > < * ? ~ \\ # ! {a,b}"),
    ("--leading", "-dash"),
    ("--flag", ""),
]


def test_arguments_and_variables_arrive_byte_for_byte_and_secrets_are_shown_nowhere(house, person):
    script = (
        "import hashlib, json, os, sys\n"
        "secret = hashlib.sha256(os.environ['MY_TOKEN'].encode()).hexdigest()\n"
        "print(json.dumps([sys.argv[1:], os.environ['AWKWARD'], secret]))\n"
    )
    value = dict(AWKWARD)["--shell"]
    run_id = person.submit(script, params=AWKWARD, variables=[("AWKWARD", value), ("MY_TOKEN", "s3cret value")])
    assert house.wait_ended(run_id)["state"] == "completed", house.story(run_id)
    argv, variable, secret = json.loads(house.output(run_id))
    assert argv == [word for pair in AWKWARD for word in pair if word]
    assert (variable, secret) == (value, hashlib.sha256(b"s3cret value").hexdigest())
    for tab in ("", "metrics/", "system/", "logs/", "files/", "events/"):
        assert "s3cret value" not in person.get(f"/runs/{run_id}/{tab}").decode()
    assert "s3cret value" not in person.get(f"/runs/new?clone={run_id}").decode()
    for database in house.data_dir.glob("trainhouse.sqlite3*"):
        assert b"s3cret value" not in database.read_bytes()


def test_numbers_that_are_not_finite_survive(house, person):
    script = (
        "from trainhouse import Run\nrun = Run.get_context()\n"
        "for value in (1.0, float('nan'), float('inf'), float('-inf'), 2.0): run.log('loss', value)\n"
    )
    run_id = person.submit(script)
    assert house.wait_ended(run_id)["state"] == "completed", house.story(run_id)
    series = house.row("SELECT * FROM runs_series WHERE run_id = ? AND name = 'loss'", run_id)
    assert (series["count"], series["last_value"]) == (5, 2.0)
    assert person.status(f"/runs/{run_id}/metrics/") == 200
    assert person.status(f"/runs/{run_id}/series.json?kind=metric") == 200


def test_a_package_that_does_not_exist_is_named(house, person):
    run_id = person.submit("print(1)", pip_packages="no-such-package-trainhouse-xyz")
    row = house.wait_ended(run_id, timeout_s=120)
    assert (row["state"], row["end_reason"]) == ("failed", "environment_failed")
    assert "no-such-package-trainhouse-xyz" in row["end_message"]


def test_an_entry_script_that_is_missing_or_outside_is_refused_and_nothing_is_lost(person):
    for entry, words in (("nope.py", "There is no"), ("../train.py", "lies outside")):
        address, page = person.submit_form("print(1)", entry_script=entry, name="kept name")
        assert address.startswith("/runs/new")
        assert words in page
        assert "kept name" in page
        assert "source.zip" in page


def test_the_same_form_posted_twice_is_one_run(house, person):
    key = "00000000-0000-4000-8000-000000000001"
    first = person.submit("print(1)", submission_key=key)
    second = person.submit("print(1)", submission_key=key)
    assert first == second


def test_cancelling_ends_every_process_of_the_run(house, person):
    script = (
        "import os, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        "print(os.getpid(), child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    run_id = person.submit(script)
    wait_for(lambda: house.output(run_id).endswith(b"\n"), timeout_s=90, what=lambda: house.story(run_id))
    pids = [int(word) for word in house.output(run_id).split()]
    person.post(f"/runs/{run_id}/cancel/")
    row = house.wait_ended(run_id, timeout_s=60)
    assert (row["state"], row["end_reason"]) == ("cancelled", "cancelled"), house.story(run_id)
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    held = house.rows("SELECT holder FROM compute_lease")
    attempt = house.row("SELECT id FROM runs_attempt WHERE run_id = ?", run_id)
    assert {"holder": f"attempt-{attempt['id']}"} not in held


@pytest.mark.needs("root")
def test_a_run_reaches_its_own_files_and_nothing_else(house, person):
    other = person.submit("import time; open('private.txt', 'w').write('mine'); time.sleep(60)")
    house.wait_until(other, "running")
    environment = house.row("SELECT path FROM runs_environment WHERE state = 'ready'")["path"]
    data = house.data_dir
    attempts = {
        "database": f"open({str(data / 'trainhouse.sqlite3')!r}).read(1)",
        "key": f"open({str(data / 'secret.key')!r}).read(1)",
        "logs": f"os.listdir({str(data / 'logs')!r})",
        "snapshots": f"os.listdir({str(data / 'snapshots')!r})",
        "artifacts": f"os.listdir({str(data / 'artifacts')!r})",
        "other run": f"open({str(house.task_folder(other) / 'work' / 'private.txt')!r}).read()",
        "other token": f"open({str(house.task_folder(other) / 'token')!r}).read()",
        "environment": f"open({environment + '/bin/intruder'!r}, 'w')",
        "environment file": f"open({environment + '/pyvenv.cfg'!r}, 'a')",
        "uv cache": f"open({str(data / 'build' / 'cache' / 'uv' / 'intruder')!r}, 'w')",
        "tools": f"open({str(data / 'tools' / 'intruder')!r}, 'w')",
        "kill": "os.kill(1, 0)",
    }
    script = "import json, os\nresult = {}\n"
    for name, attempt in attempts.items():
        script += f"try:\n    {attempt}\n    result[{name!r}] = 'succeeded'\n"
        script += f"except OSError as error:\n    result[{name!r}] = type(error).__name__\n"
    script += "result['uid'] = os.getuid()\nresult['groups'] = os.getgroups()\nprint(json.dumps(result))"
    run_id = person.submit(script)
    assert house.wait_ended(run_id)["state"] == "completed", house.story(run_id)
    result = json.loads(house.output(run_id))
    assert result.pop("uid") >= 200000
    assert 0 not in result.pop("groups")
    assert result == dict.fromkeys(attempts, "PermissionError")
    person.post(f"/runs/{other}/cancel/")
    house.wait_ended(other)


def artifact_id(house, run_id: int, path: str) -> int:
    row = house.row("SELECT id FROM runs_artifact WHERE run_id = ? AND path = ?", run_id, path)
    assert row is not None, house.story(run_id)
    return row["id"]
