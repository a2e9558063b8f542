"""The tasks of a cluster find each other before a script starts: whoever dies, stays away or takes a port meanwhile."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.sdk.meeting_hall import PORTS, free_ports, make_hall
from tests.sdk.task_folder import wait_for
from trainhouse.harness.ports import port_of, port_reserve, port_share
from trainhouse.harness.tf_config import tf_config

__all__ = ["make_hall"]

#: Listens where TF_CONFIG says, greets everybody else of its cluster, and is greeted by them.
GREET = """
import json, os, socket, time
told = json.loads(os.environ["TF_CONFIG"])
role, index = told["task"]["type"], told["task"]["index"]
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("0.0.0.0", int(told["cluster"][role][index].rpartition(":")[2])))
server.listen()
others = [one for name, group in told["cluster"].items() for at, one in enumerate(group) if (name, at) != (role, index)]
for other in others:
    host, _, port = other.rpartition(":")
    while True:
        try:
            socket.create_connection((host, int(port)), 5).sendall(f"{role}-{index}\\n".encode())
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
heard = []
for _ in others:
    heard.append(server.accept()[0].makefile().readline().strip())
print(os.environ["TF_CONFIG"], flush=True)
print(*sorted(heard), flush=True)
"""
#: Fails as TensorFlow's server does when it cannot have its port.
LISTEN = """
import json, os, socket, sys, time
while not os.path.exists("go"): time.sleep(0.02)
told = json.loads(os.environ["TF_CONFIG"])
port = int(told["cluster"]["worker"][0].rpartition(":")[2])
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("0.0.0.0", port))
server.listen()
"""
UP = "print('up', flush=True)\nimport time\ntime.sleep(600)"


def start(hall, *members):
    return [hall.tasks[member].harness_start() for member in members or hall.members]


def meets(hall, member):
    return [header["meet"] for header in hall.servers[member].headers if "meet" in header]


def waits(hall, member):
    return wait_for(lambda: meets(hall, member), what=f"{member} to ask for the others")


def kill(process):
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def waiting_guard(harness):
    """The pid of the guard: the only child of its harness as long as the script has not started."""
    with open(f"/proc/{harness.pid}/task/{harness.pid}/children") as file:
        (guard,) = file.read().split()
    return int(guard)


def machine_restart(hall, harness, member):
    """Ends harness and guard of a waiting task together, as a machine that goes down does."""
    guard = waiting_guard(harness)
    kill(harness)
    os.kill(guard, signal.SIGKILL)
    wait_for(lambda: not hall.tasks[member].is_locked("guard.lock"), what="the guard's end")


def script_ran(hall, member):
    return (hall.tasks[member].root / "started").exists()


def listener(port):
    """Somebody else who listens on ``port``, as a server that was told to."""
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(("0.0.0.0", port))
    taken.listen()
    return taken


# ---- meeting


def test_scripts_start_when_all_have_met_and_reach_each_other(make_hall):
    hall = make_hall(worker_0={"script": GREET}, worker_1={"script": GREET}, ps_0={"script": GREET})
    assert [harness.wait(30) for harness in start(hall)] == [0, 0, 0]

    ports = {member: hall.port(member) for member in hall.members}
    assert len(set(ports.values())) == 3
    assert all(PORTS[0] <= port <= PORTS[1] for port in ports.values())
    for member, heard in (("worker-0", "ps-0 worker-1"), ("worker-1", "ps-0 worker-0"), ("ps-0", "worker-0 worker-1")):
        told, greeted = hall.tasks[member].output().decode().splitlines()
        role, index = member.split("-")
        assert json.loads(told) == {
            "cluster": {
                "worker": [f"127.0.0.1:{ports['worker-0']}", f"127.0.0.1:{ports['worker-1']}"],
                "ps": [f"127.0.0.1:{ports['ps-0']}"],
            },
            "task": {"type": role, "index": int(index)},
            "environment": "cloud",
        }
        assert greeted == heard
        assert hall.servers[member].is_complete()
        assert hall.servers[member].exits[-1]["code"] == 0
        assert "port_taken" not in hall.servers[member].exits[-1]
        assert f"All have met: worker-0 at 127.0.0.1:{ports['worker-0']}, " in hall.tasks[member].words()


def test_nothing_starts_while_somebody_is_missing_and_the_log_says_so(make_hall):
    hall = make_hall(worker_0={"script": UP}, worker_1={"script": UP})
    start(hall, "worker-0")
    wait_for(lambda: len(meets(hall, "worker-0")) > 3, what="the question again and again")

    assert not script_ran(hall, "worker-0")
    assert (
        b"Waiting until all 2 tasks have met. This one is at 127.0.0.1:23"
        in hall.servers["worker-0"].streams["harness"]
    )
    gaps = [
        after - before
        for before, after in zip(*[hall.servers["worker-0"].arrivals[at:] for at in (0, 1)], strict=False)
    ]
    assert min(gaps) > 0.08
    start(hall, "worker-1")
    wait_for(lambda: b"up" in hall.servers["worker-0"].streams.get("output", b""), what="the script")


def test_no_frame_meets_once_the_script_has_started(make_hall):
    hall = make_hall(worker_0={"script": "print('x')"})
    hall.tasks["worker-0"].run()

    asked = ["meet" in header for header in hall.servers["worker-0"].headers]
    assert True in asked
    assert not any(asked[len(asked) - asked[::-1].index(True) :])


def test_a_task_that_does_not_listen_meets_without_a_port_and_is_in_no_tf_config(make_hall):
    show = "import os; print(os.environ.get('TF_CONFIG'))"
    hall = make_hall(worker_0={"script": show}, launcher_0={"script": show, "listens": False, "tf_config": False})
    assert [harness.wait(30) for harness in start(hall)] == [0, 0]

    assert hall.places["launcher-0"] == {"address": "127.0.0.1", "port": None}
    assert hall.tasks["launcher-0"].output() == b"None\n"
    assert list(json.loads(hall.tasks["worker-0"].output())["cluster"]) == ["worker"]


def test_tf_config_among_the_runs_own_variables_gives_way_and_the_log_says_so(make_hall):
    hall = make_hall(worker_0={"script": "import os; print(os.environ['TF_CONFIG'])", "environ": {"TF_CONFIG": "mine"}})
    hall.tasks["worker-0"].run()

    assert json.loads(hall.tasks["worker-0"].output())["task"] == {"type": "worker", "index": 0}
    assert "TF_CONFIG is among the run's own variables" in hall.tasks["worker-0"].words()


def test_an_answer_that_is_no_cluster_is_asked_again(make_hall):
    hall = make_hall(worker_0={"script": "print('x')"})
    server = hall.servers["worker-0"]
    right = server.meet
    answers = [
        "nonsense",
        7,
        [],
        [{"member": "worker-9", "address": "127.0.0.1", "port": 1}],
        [{"member": "worker-0", "address": 5, "port": 1}],
        [{"member": "worker-0", "address": "127.0.0.1", "port": "1"}],
        [{"member": "worker-0"}],
    ]
    server.meet = lambda place: answers.pop() if answers else right(place)
    record = hall.tasks["worker-0"].run()

    assert record["code"] == 0
    assert hall.tasks["worker-0"].words().count("it does not list worker-0 with address and port. Asking on.") == 1


# ---- stopping while waiting


@pytest.mark.parametrize("way", ["file", "signal", "answer", "dismissal"])
def test_a_task_that_waits_can_be_stopped_and_its_script_never_starts(make_hall, way):
    hall = make_hall(worker_0={"script": UP}, worker_1={"script": UP})
    task, server = hall.tasks["worker-0"], hall.servers["worker-0"]
    (harness,) = start(hall, "worker-0")
    waits(hall, "worker-0")
    asked_at = time.monotonic()
    if way == "file":
        (task.root / "stop").write_text("5\n")
    elif way == "signal":
        harness.send_signal(signal.SIGTERM)
    elif way == "answer":
        server.stop = {"grace_s": 5}
    else:
        server.refuse_with = 410

    assert harness.wait(10) == 0
    assert time.monotonic() - asked_at < 5
    record = task.exit_record()
    assert (record["code"], record["signal"]) == (None, signal.SIGTERM)
    assert not script_ran(hall, "worker-0")
    if way != "dismissal":
        assert server.is_complete()
        assert b"Asked to stop before all had met: the script is not started." in server.streams["harness"]
        assert server.notices == {}


def test_a_task_can_be_stopped_while_no_server_answers(make_hall):
    hall = make_hall(worker_0={"script": UP})
    task, server = hall.tasks["worker-0"], hall.servers["worker-0"]
    task.announce("http://127.0.0.1:9")
    (harness,) = start(hall)
    wait_for(lambda: "does not answer" in task.words(), what="a sentence about the server")
    (task.root / "stop").write_text("5\n")
    wait_for((task.root / "exit.json").exists, within_s=5, what="the exit")
    assert not script_ran(hall, "worker-0")

    task.announce(server.url)
    assert harness.wait(10) == 0
    assert server.exits[-1]["signal"] == signal.SIGTERM


def fill(disk):
    """Writes until there is no block left."""
    with (disk / "big").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


@pytest.mark.needs("root")
def test_a_task_that_waits_on_a_full_disk_can_be_stopped_by_the_server(server, make_task, small_disk):
    server.meet = lambda place: None
    cluster = {
        "members": ["worker-0", "worker-1"],
        "member": "worker-0",
        "address": "127.0.0.1",
        "ports": list(PORTS),
        "listens": True,
        "tf_config": True,
    }
    task = make_task(UP, root=small_disk, cluster=cluster)
    harness = task.harness_start()
    wait_for(lambda: any("meet" in header for header in server.headers), what="the question")
    with pytest.raises(OSError, match="No space left"):
        fill(small_disk)
    server.stop = {"grace_s": 5}

    assert harness.wait(15) == 0
    assert server.exits[-1]["signal"] == signal.SIGTERM
    assert not (task.root / "started").exists()


# ---- a server that is away


def test_a_server_that_is_away_is_waited_for_and_found_at_its_new_address(make_hall):
    hall = make_hall(worker_0={"script": GREET}, worker_1={"script": GREET})
    task = hall.tasks["worker-0"]
    task.announce("http://127.0.0.1:9")
    harnesses = start(hall)
    wait_for(lambda: "does not answer" in task.words(), what="a sentence about the server")
    waits(hall, "worker-1")
    assert not any(script_ran(hall, member) for member in hall.members)

    task.announce(hall.servers["worker-0"].url)
    assert [harness.wait(20) for harness in harnesses] == [0, 0]


def test_a_server_that_goes_away_between_the_last_to_come_and_the_answer_tells_it_later(make_hall):
    hall = make_hall(worker_0={"script": "print('x')"})
    task, server = hall.tasks["worker-0"], hall.servers["worker-0"]

    def forget_to_answer(place):
        hall.come("worker-0", place)
        server.refuse_with = 503

    server.meet = forget_to_answer
    (harness,) = start(hall)
    wait_for(lambda: "answers 503" in task.words(), what="a sentence about the answer")
    assert not script_ran(hall, "worker-0")
    server.meet = lambda place: hall.come("worker-0", place)
    server.refuse_with = None

    assert harness.wait(20) == 0
    assert server.exits[-1]["code"] == 0


# ---- deaths


def test_a_harness_killed_before_all_have_met_is_replaced_and_keeps_its_port(make_hall):
    hall = make_hall(worker_0={"script": GREET}, worker_1={"script": GREET})
    task = hall.tasks["worker-0"]
    for _ in range(3):
        (harness,) = start(hall, "worker-0")
        before = len(meets(hall, "worker-0"))
        wait_for(lambda before=before: len(meets(hall, "worker-0")) > before, what="a question")
        kill(harness)
        assert task.is_locked("guard.lock")
    harnesses = start(hall)

    assert [harness.wait(20) for harness in harnesses] == [0, 0]
    assert len({place["port"] for place in meets(hall, "worker-0")}) == 1
    assert task.words().count("Watching again: the script waits for the others") == 3
    assert task.words().count("Waiting until all 2 tasks have met") == 1


def test_a_harness_killed_before_it_is_told_that_all_have_met_is_replaced(make_hall):
    hall = make_hall(worker_0={"script": GREET}, worker_1={"script": GREET})
    (harness,) = start(hall, "worker-0")
    waits(hall, "worker-0")
    kill(harness)
    (other,) = start(hall, "worker-1")
    wait_for(lambda: script_ran(hall, "worker-1"), what="the other's script")
    assert not script_ran(hall, "worker-0")
    (again,) = start(hall, "worker-0")

    assert (again.wait(20), other.wait(20)) == (0, 0)
    assert hall.servers["worker-0"].exits[-1]["code"] == 0


def test_a_harness_killed_after_all_have_met_needs_no_server_to_go_on(make_hall):
    hall = make_hall(worker_0={"script": UP})
    task = hall.tasks["worker-0"]
    (harness,) = start(hall)
    wait_for((task.root / "cluster.json").exists, what="the cluster")
    kill(harness)
    task.announce("http://127.0.0.1:9")
    start(hall)
    wait_for(lambda: b"up" in task.output() if (task.root / "spool" / "output").exists() else False, what="the script")
    assert task.words().count("All have met") == 1


def test_a_guard_killed_while_it_waits_is_on_record_as_lost(make_hall):
    hall = make_hall(worker_0={"script": UP}, worker_1={"script": UP})
    (harness,) = start(hall, "worker-0")
    waits(hall, "worker-0")
    os.kill(waiting_guard(harness), signal.SIGKILL)

    assert harness.wait(20) == 0
    assert hall.servers["worker-0"].exits[-1]["lost"] is True
    assert not script_ran(hall, "worker-0")


def test_after_a_restart_of_its_machine_a_waiting_task_takes_its_port_again(make_hall):
    hall = make_hall(worker_0={"script": GREET}, worker_1={"script": GREET})
    (harness,) = start(hall, "worker-0")
    waits(hall, "worker-0")
    machine_restart(hall, harness, "worker-0")

    assert [harness.wait(20) for harness in start(hall)] == [0, 0]
    assert len({place["port"] for place in meets(hall, "worker-0")}) == 1


def test_after_a_restart_with_its_port_taken_a_waiting_task_meets_at_another(make_hall):
    hall = make_hall(worker_0={"script": GREET}, worker_1={"script": GREET})
    (harness,) = start(hall, "worker-0")
    first = waits(hall, "worker-0")[0]["port"]
    machine_restart(hall, harness, "worker-0")
    with listener(first):
        again = start(hall, "worker-0")
        wait_for(lambda: hall.port("worker-0") != first, what="another port")
        harnesses = again + start(hall, "worker-1")
        assert [harness.wait(20) for harness in harnesses] == [0, 0]


def test_after_a_restart_with_the_port_taken_that_the_others_were_told_the_exit_says_so(make_hall):
    hall = make_hall(worker_0={"script": GREET}, worker_1={"script": UP})
    (harness,) = start(hall, "worker-0")
    first = waits(hall, "worker-0")[0]["port"]
    machine_restart(hall, harness, "worker-0")
    start(hall, "worker-1")
    wait_for(lambda: hall.cluster, what="the cluster")
    with listener(first):
        record = hall.tasks["worker-0"].run()

    assert (record["code"], record["port_taken"]) == (127, True)
    assert not script_ran(hall, "worker-0")
    assert (
        f"The port of worker-0, {first}, is told to all and not free any more (Address already in use)"
        in hall.tasks["worker-0"].words()
    )
    assert hall.servers["worker-0"].exits[-1]["port_taken"] is True


# ---- ports


def test_a_taken_port_is_skipped(make_hall):
    ports = free_ports(4)
    with listener(ports[0]), port_reserve((ports[1], ports[1])), socket.socket() as taken:
        taken.bind(("127.0.0.1", ports[3]))
        hall = make_hall(worker_0={"script": GREET, "ports": [ports[0], ports[3]]})
        hall.tasks["worker-0"].run()

    assert hall.port("worker-0") == ports[2]


def test_a_range_without_a_free_port_ends_the_task_with_a_sentence(make_hall):
    first, last = free_ports(2)
    with listener(first), listener(last):
        hall = make_hall(worker_0={"script": UP, "ports": [first, last]})
        record = hall.tasks["worker-0"].run()

    assert (record["code"], record["signal"]) == (127, None)
    assert not script_ran(hall, "worker-0")
    words = bytes(hall.servers["worker-0"].streams["harness"]).decode()
    assert f"None of the ports {first} to {last} is free for worker-0 (Address already in use)" in words
    assert hall.servers["worker-0"].notices["harness"].startswith("None of the ports")
    assert meets(hall, "worker-0") == []


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"ports": [0, 10]}, "The ports in task.json are 0 to 10; ports are 1 to 65535."),
        ({"ports": [5, 4]}, "The ports in task.json are 5 to 4"),
        ({"ports": [1, 65536]}, "The ports in task.json are 1 to 65536"),
        ({"member": "ps-7"}, "task.json names 'ps-7', which is none of its cluster's members."),
    ],
)
def test_a_cluster_that_cannot_be_is_refused_with_a_sentence(make_hall, capfd, wrong, sentence):
    hall = make_hall(worker_0={"script": UP, **wrong})
    assert hall.tasks["worker-0"].harness_start().wait(10) == 64
    assert sentence in capfd.readouterr().err


def test_no_two_reservations_share_a_port_however_many_ask_at_once():
    range_asked = free_ports(80)
    ends = (range_asked[0], range_asked[-1])
    code = (
        "import sys; sys.path.insert(0, 'sdk')\n"
        "from trainhouse.harness.ports import port_of, port_reserve\n"
        f"kept = [port_reserve({ends}) for _ in range(20)]\n"
        "print(*map(port_of, kept), flush=True)\nsys.stdin.read()"
    )
    asking = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    ports = [int(word) for one in asking for word in one.stdout.readline().split()]
    with pytest.raises(OSError, match="Address already in use"):
        port_reserve(ends)
    for one in asking:
        one.communicate()
    assert sorted(ports) == list(range_asked)


def test_a_shared_port_is_for_those_alone_who_ask_for_it_by_its_number():
    (port,) = free_ports(1)
    with port_reserve((port, port)) as reserved:
        with pytest.raises(OSError, match="in use"):
            listener(port)
        port_share(reserved)
        with pytest.raises(OSError, match="in use"):
            port_reserve((port, port))
        with listener(port), pytest.raises(OSError, match="in use"):
            listener(port)
        assert port_of(reserved) == port


def test_a_stranger_on_the_port_is_on_record_when_the_script_could_not_listen(make_hall):
    hall = make_hall(worker_0={"script": LISTEN})
    task = hall.tasks["worker-0"]
    (harness,) = start(hall)
    wait_for(lambda: script_ran(hall, "worker-0"), what="the script")
    with listener(hall.port("worker-0")):
        (task.root / "work" / "go").touch()
        assert harness.wait(20) == 0

    assert hall.servers["worker-0"].exits[-1]["port_taken"] is True
    assert hall.servers["worker-0"].exits[-1]["code"] == 1
    words = f"Another program listens on port {hall.port('worker-0')}, which was kept for worker-0."
    assert words in task.words()
    assert hall.servers["worker-0"].notices == {"harness": words}


CHILD = """
import subprocess, sys
child = "import sys, time; exec(sys.argv[1]); print('up', flush=True); time.sleep(600)"
listen = open("listen.py").read()
process = subprocess.Popen([sys.executable, "-c", child, listen], stdout=subprocess.PIPE, start_new_session=True)
process.stdout.readline()
raise SystemExit(4)
"""


@pytest.mark.parametrize("script", ["raise SystemExit(4)", CHILD], ids=["nobody listens", "its own child listens"])
def test_a_script_that_fails_by_itself_is_not_excused_by_its_port(make_hall, script):
    hall = make_hall(worker_0={"script": script})
    task = hall.tasks["worker-0"]
    (task.root / "work" / "listen.py").write_text(LISTEN)
    (task.root / "work" / "go").touch()
    record = task.run()

    assert record["code"] == 4
    assert "port_taken" not in record


# ---- TF_CONFIG


def test_tf_config_lists_each_role_by_index_with_addresses_as_they_are_written():
    cluster = [
        {"member": "chief-0", "address": "node-1", "port": 1},
        {"member": "worker-10", "address": "fd00::5", "port": 12},
        *({"member": f"worker-{index}", "address": "10.0.0.5", "port": 2 + index} for index in range(10)),
        {"member": "evaluator-0", "address": "10.0.0.9", "port": None},
    ]
    assert json.loads(tf_config(cluster, "evaluator-0")) == {
        "cluster": {
            "chief": ["node-1:1"],
            "worker": [*(f"10.0.0.5:{2 + index}" for index in range(10)), "[fd00::5]:12"],
        },
        "task": {"type": "evaluator", "index": 0},
        "environment": "cloud",
    }


def test_a_task_without_a_cluster_asks_for_nothing(server, make_task):
    server.meet = lambda place: pytest.fail("nobody is to be met")
    task = make_task("import os; print('TF_CONFIG' in os.environ)")
    task.run()

    assert task.output() == b"False\n"
    assert not (task.root / "meeting.json").exists()


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"http_proxy": "http://proxy:3128"}, "127.0.0.1"),
        ({"no_proxy": "localhost,.example.org"}, "localhost,.example.org,127.0.0.1"),
        ({"no_proxy": "localhost", "no_grpc_proxy": "10.0.0.9"}, "10.0.0.9,127.0.0.1"),
    ],
)
def test_the_tasks_reach_each_other_without_a_proxy(make_hall, environ, told):
    script = "import os; print(os.environ['no_grpc_proxy'], os.environ.get('no_proxy'))"
    hall = make_hall(worker_0={"script": script, "environ": environ})
    assert [harness.wait(30) for harness in start(hall)] == [0]
    assert hall.tasks["worker-0"].output().decode().split() == [told, environ.get("no_proxy", "None")]
