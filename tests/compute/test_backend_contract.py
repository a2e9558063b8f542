"""What every backend promises (compute/backends/base.py), with real processes and the real harness."""

import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from compute.errors import LaunchRefused
from compute.plan import EnvironmentRef, Handle, Liveness
from tests.compute.plans import PYTHON, commands_with, finished, launched, output_of, script_plan, seen, wait_for

WAITS = "import time\nprint('up', flush=True)\ntime.sleep(600)\n"
NOWHERE = Handle(key="never-launched", node="local", native={})


def test_a_script_runs_and_its_exit_code_is_on_record(backend):
    handle = launched(backend, "import sys\nprint('hello')\nsys.exit(3)\n")
    status = finished(backend, handle)
    assert (status.liveness, status.exit.code, status.exit.signal) == (Liveness.EXITED, 3, None)
    assert status.exit.started_at <= status.exit.ended_at <= time.time()
    assert output_of(backend, handle) == "hello\n"


def test_a_script_killed_by_a_signal_has_the_signal_on_record(backend):
    handle = launched(backend, "import os\nos.kill(os.getpid(), 11)\n")
    status = finished(backend, handle)
    assert (status.exit.code, status.exit.signal) == (None, signal.SIGSEGV)


def test_a_task_that_was_never_launched_is_absent_and_everything_asked_of_it_succeeds(backend):
    assert seen(backend, NOWHERE).liveness is Liveness.ABSENT
    backend.stop(NOWHERE, grace_s=1)
    assert backend.kill(NOWHERE) == 0
    assert backend.collect(NOWHERE) == []
    assert backend.read_spool(NOWHERE, "output", offset=0, size=10) == b""
    assert list(backend.outputs(NOWHERE)) == []
    backend.announce(NOWHERE, "http://127.0.0.1:1")
    backend.cleanup(NOWHERE)


def test_the_key_alone_is_enough_to_end_and_remove_what_a_launch_cut_short_has_started(backend):
    launch = launched(backend, WAITS)
    wait_for(lambda: "up" in output_of(backend, launch))
    handle = Handle(key=launch.key, node=launch.node, native={})
    assert seen(backend, handle).liveness is Liveness.ALIVE
    assert backend.kill(handle) >= 1
    assert seen(backend, handle).liveness is Liveness.DIED
    assert output_of(backend, handle) == "up\n"
    backend.cleanup(handle)
    assert seen(backend, launch).liveness is Liveness.ABSENT


def test_launching_the_same_key_twice_starts_one_script(backend):
    plan = script_plan(backend, "import os, time\nopen('starts', 'a').write('x')\n" + WAITS)
    first = backend.launch(plan)
    wait_for(lambda: "up" in output_of(backend, first[0]))
    assert backend.launch(plan) == first
    assert seen(backend, first[0]).liveness is Liveness.ALIVE
    assert (backend.folders.task(first[0].key) / "work" / "starts").read_text() == "x"


def test_launching_an_ended_task_does_not_start_it_again(backend):
    plan = script_plan(backend, "open('starts', 'a').write('x')\n")
    handle = backend.launch(plan)[0]
    finished(backend, handle)
    assert backend.launch(plan) == [handle]
    assert (backend.folders.task(handle.key) / "work" / "starts").read_text() == "x"


def test_a_task_whose_harness_died_is_unwatched_and_another_launch_watches_it_again(backend):
    script = "import os, sys, time\nprint('up', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.02)\n"
    plan = script_plan(backend, script + "sys.exit(7)\n")
    handle = backend.launch(plan)[0]
    wait_for(lambda: "up" in output_of(backend, handle))
    os.kill(_harness_pid(backend, handle), signal.SIGKILL)
    wait_for(lambda: seen(backend, handle).liveness is Liveness.UNWATCHED)
    backend.launch(plan)
    assert seen(backend, handle).liveness is Liveness.ALIVE
    (backend.folders.task(handle.key) / "work" / "go").touch()
    assert finished(backend, handle).exit.code == 7
    assert output_of(backend, handle) == "up\n"


def test_a_task_killed_with_its_guard_is_found_dead(backend):
    plan = script_plan(backend, WAITS)
    handle = backend.launch(plan)[0]
    wait_for(lambda: "up" in output_of(backend, handle))
    assert backend.kill(handle) >= 3  # harness, guard, script
    wait_for(lambda: seen(backend, handle).liveness is Liveness.DIED)
    assert backend.kill(handle) == 0
    assert output_of(backend, handle) == "up\n"


def test_stop_ends_the_script_with_sigterm(backend):
    handle = launched(backend, WAITS)
    wait_for(lambda: "up" in output_of(backend, handle))
    backend.stop(handle, grace_s=10)
    assert finished(backend, handle).exit.signal == signal.SIGTERM


def test_stop_kills_what_ignores_it_once_the_grace_is_over(backend):
    handle = launched(backend, "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + WAITS)
    wait_for(lambda: "up" in output_of(backend, handle))
    backend.stop(handle, grace_s=0.5)
    backend.stop(handle, grace_s=0.5)
    assert finished(backend, handle).exit.signal == signal.SIGKILL


def test_stop_reaches_a_script_whose_harness_died(backend):
    handle = launched(backend, WAITS)
    wait_for(lambda: "up" in output_of(backend, handle))
    os.kill(_harness_pid(backend, handle), signal.SIGKILL)
    wait_for(lambda: seen(backend, handle).liveness is Liveness.UNWATCHED)
    backend.stop(handle, grace_s=10)
    assert finished(backend, handle).exit.signal == signal.SIGTERM


def test_kill_reaches_children_that_left_the_session(backend):
    mark = f"left-{time.monotonic_ns()}"
    child = f"[{PYTHON!r}, '-c', 'import time; time.sleep(600)', {mark!r}]"
    script = f"import os, subprocess\nsubprocess.Popen({child}, start_new_session=True, env={{}})\n" + WAITS
    handle = launched(backend, script)
    wait_for(lambda: commands_with(mark))
    backend.kill(handle)
    assert not commands_with(mark)


def test_spools_are_read_from_any_offset(backend):
    handle = launched(backend, "print('0123456789')\n")
    finished(backend, handle)
    sizes = {spool.stream: spool.size_bytes for spool in backend.collect(handle)}
    assert sizes["output"] == 11
    assert set(sizes) <= {"output", "points", "samples", "harness"}
    assert backend.read_spool(handle, "output", offset=4, size=3) == b"456"
    assert backend.read_spool(handle, "output", offset=11, size=3) == b""
    assert backend.read_spool(handle, "../token", offset=0, size=3) == b""


def test_outputs_are_listed_opened_and_kept_without_being_paid_twice(backend):
    handle = launched(
        backend,
        "import os\nos.makedirs('outputs/deep')\nopen('outputs/deep/model', 'w').write('weights')\n"
        "open(os.environ['TRAINHOUSE_UPLOADS'] + '/note', 'w').write('n')\n",
    )
    finished(backend, handle)
    assert {(file.path, file.size_bytes) for file in backend.outputs(handle)} == {
        ("outputs/deep/model", 7),
        ("uploads/note", 1),
    }
    with os.fdopen(backend.open_output(handle, "outputs/deep/model"), "rb") as file:
        assert file.read() == b"weights"
    source = backend.folders.task(handle.key) / "work" / "outputs" / "deep" / "model"
    inode = source.stat().st_ino
    destination = backend.folders.data / "artifacts" / "1" / "model"
    assert backend.keep_output(handle, "outputs/deep/model", destination) == 7
    assert destination.read_text() == "weights"
    assert destination.stat().st_ino == inode
    assert (destination.stat().st_uid, destination.stat().st_mode & 0o777) == (os.geteuid(), 0o600)
    with pytest.raises(FileNotFoundError):
        backend.open_output(handle, "outputs/deep/model")


def test_the_servers_new_address_is_announced(backend):
    handle = launched(backend, WAITS)
    backend.announce(handle, "http://127.0.0.1:4321")
    server = backend.folders.task(handle.key) / "server"
    assert server.read_text() == "http://127.0.0.1:4321\n"
    assert server.stat().st_mode & 0o777 == 0o600


def test_cleanup_leaves_nothing(backend):
    handle = launched(backend, "import os\nos.mkdir('closed')\nopen('closed/x', 'w').close()\nos.chmod('closed', 0)\n")
    finished(backend, handle)
    backend.cleanup(handle)
    assert seen(backend, handle).liveness is Liveness.ABSENT
    assert not [path for path in backend.folders.tasks.iterdir() if path.is_dir()]
    assert not commands_with(str(backend.folders.task(handle.key)))


def test_parameters_arrive_byte_for_byte(backend):
    awkward = [
        "",
        " two  words ",
        "'single' \"double\"",
        "line\nbreak\ttab",
        "; rm -rf $HOME `id` * ?",
        "ünï🚀",
        "--x=1",
    ]
    argv = (PYTHON, "train.py", *awkward)
    handle = launched(backend, "import json, sys\nprint(json.dumps(sys.argv[1:]))\n", argv=argv)
    finished(backend, handle)
    assert json.loads(output_of(backend, handle)) == awkward


def test_the_script_gets_a_writable_copy_of_the_snapshot(backend):
    script = "import os\nopen('data/rows.csv', 'a').write('2\\n')\nprint(os.access('run.sh', os.X_OK), os.getcwd())\n"
    plan = script_plan(backend, script, files={"data/rows.csv": "1\n", "run.sh": "#!/bin/sh\n"})
    handle = backend.launch(plan)[0]
    finished(backend, handle)
    work = backend.folders.task(handle.key) / "work"
    assert output_of(backend, handle) == f"True {work}\n"
    assert (work / "data" / "rows.csv").read_text() == "1\n2\n"
    stored = next(file.source for file in plan.tasks[0].snapshot if file.path == "data/rows.csv")
    assert stored.read_text() == "1\n"
    assert stored.stat().st_ino != (work / "data" / "rows.csv").stat().st_ino


def test_a_half_laid_folder_is_laid_again(backend):
    plan = script_plan(backend, "print('whole')\n")
    backend.environment_root()  # makes the folders
    half = backend.folders.half_laid(plan.tasks[0].key)
    (half / "work").mkdir(parents=True)
    (half / "work" / "train.py").write_text("print('ha")
    handle = backend.launch(plan)[0]
    finished(backend, handle)
    assert output_of(backend, handle) == "whole\n"


def test_a_snapshot_that_leaves_its_folder_is_refused_and_leaves_nothing(backend):
    plan = script_plan(backend, "", files={"../../escaped": "x"})
    with pytest.raises(LaunchRefused, match="escaped"):
        backend.launch(plan)
    assert not [path for path in backend.folders.tasks.iterdir() if path.is_dir()]


def test_an_interpreter_that_cannot_run_is_said_so(backend, tmp_path):
    environment = EnvironmentRef(digest="d", python=tmp_path / "bin" / "python", path=tmp_path)
    with pytest.raises(LaunchRefused, match="bin/python"):
        backend.launch(script_plan(backend, "", environment=environment))


def test_the_rendered_request_holds_no_secret(backend):
    plan = script_plan(backend, "", environ={"WANDB_API_KEY": "hush-hush", "EPOCHS": "3"}, token="1.hush-hush")
    rendered = json.dumps(backend.render(plan))
    assert "hush-hush" not in rendered
    assert '"EPOCHS": "3"' in rendered


def test_every_node_states_its_facts(backend):
    (facts,) = backend.probe()
    assert facts["cpu_cores"] >= 1
    assert facts["memory_mb"] > 0
    assert isinstance(facts["gpus"], list)


def _harness_pid(backend, handle):
    folder = str(backend.folders.task(handle.key))
    started = json.loads((backend.folders.task(handle.key) / "started").read_text())
    (pid,) = [pid for pid in commands_with(folder) if pid != started["guard"]]
    return pid


def test_many_launches_at_once_under_constant_observation_all_start_once(backend):
    plans = [script_plan(backend, "open('starts', 'a').write('x')\n") for _ in range(8)]
    handles = [Handle(key=plan.tasks[0].key, node="local", native={}) for plan in plans]
    is_over = threading.Event()

    def keep_looking():
        while not is_over.is_set():
            backend.observe(handles)

    watcher = threading.Thread(target=keep_looking)
    watcher.start()
    try:
        with ThreadPoolExecutor(max_workers=6) as pool:
            launches = [pool.submit(backend.launch, plan) for plan in plans for _ in range(2)]
            for launch in launches:
                launch.result()
        for handle in handles:
            finished(backend, handle)
    finally:
        is_over.set()
        watcher.join()
    folders = [backend.folders.task(handle.key) for handle in handles]
    assert [(folder / "work" / "starts").read_text() for folder in folders] == ["x"] * 8
    if backend.identities.separate:
        assert len({folder.stat().st_uid for folder in folders}) == 8
