"""A run that did not end well says why, in words, at the top of its page."""

import signal

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from runs.models import SnapshotFile, Stream, Task
from runs.selectors.exits import code_words, exit_words, signal_words
from runs.selectors.failure import failure_of
from runs.selectors.hints import hints
from runs.states import EndReason, EnvironmentState, RunState, TaskState
from runs.stores.logs import log_write
from tests.factories import make_environment, make_run, make_stream, make_target, make_task

TRACEBACK = b"""\x1b[31mTraceback (most recent call last):\x1b[0m
  File "train.py", line 3, in <module>
    import sklearn
ModuleNotFoundError: No module named 'sklearn'
"""


def failed_run(owner: User, reason: EndReason = EndReason.SCRIPT_FAILED, **fields):
    state = RunState.ERRORED if reason in (EndReason.TASK_LOST, EndReason.LAUNCH_FAILED) else RunState.FAILED
    return make_run(owner=owner, state=state, end_reason=reason, ended_at=timezone.now(), **fields)


def test_a_failed_script_shows_reason_exit_last_lines_and_advice(page: Client, owner: User):
    run = failed_run(owner, end_message="The script ended with exit code 1.")
    task = make_task(run, state=TaskState.EXITED, exit_code=1, ended_at=timezone.now())
    log_write(make_stream(task).pk, TRACEBACK)
    words = page.get(reverse("run", args=[run.pk])).content.decode()
    assert "The script failed" in words
    assert "The script ended with exit code 1." in words
    assert "Python ended with an error" in words
    assert "import sklearn\nModuleNotFoundError" in words
    assert "Add scikit-learn to the pip packages" in words
    assert f"?clone={run.pk}" in words
    assert "\x1b" not in words


def test_a_failed_environment_shows_the_builds_last_lines(page: Client, owner: User):
    target = make_target()
    environment = make_environment(target, state=EnvironmentState.FAILED, error="No package is called nosuch.")
    log_write(Stream.objects.create(environment=environment, name="build").pk, b"nosuch was not found\n")
    run = failed_run(
        owner,
        EndReason.ENVIRONMENT_FAILED,
        target=target,
        environment=environment,
        end_message="No package is called nosuch.",
    )
    words = page.get(reverse("run", args=[run.pk])).content.decode()
    assert "The environment could not be built" in words
    assert "No package is called nosuch." in words
    assert "nosuch was not found" in words


def test_a_run_that_never_started_has_an_explanation_without_a_log(page: Client, owner: User):
    run = failed_run(owner, EndReason.LAUNCH_FAILED, end_message="The disk of node is full.")
    words = page.get(reverse("run", args=[run.pk])).content.decode()
    assert "The disk of node is full." in words
    assert "Last lines" not in words


def test_the_task_that_failed_first_is_named(owner: User):
    run = failed_run(owner)
    now = timezone.now()
    make_task(run, index=0, state=TaskState.EXITED, exit_signal=15, ended_at=now)
    first = make_task(
        run, index=1, role="worker", state=TaskState.EXITED, exit_code=3, ended_at=now - timezone.timedelta(seconds=5)
    )
    make_task(run, index=2, role="worker", state=TaskState.LOST)
    failure = failure_of(run)
    assert failure is not None
    assert failure.task == first
    assert "Exit code 3" in failure.exit_words


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.COMPLETED, RunState.CANCELLED])
def test_a_run_that_is_well_has_no_failure(owner: User, state: str):
    assert failure_of(make_run(owner=owner, state=state)) is None


def test_a_run_being_cancelled_has_no_failure(owner: User):
    assert failure_of(make_run(owner=owner, state=RunState.STOPPING, end_reason=EndReason.CANCELLED)) is None


def test_every_reason_has_something_to_do(owner: User):
    for reason in set(EndReason) - {EndReason.SUCCEEDED, EndReason.CANCELLED}:
        failure = failure_of(failed_run(owner, reason))
        assert failure is not None
        assert failure.hints, reason


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "Python ended with an error"),
        (2, "arguments"),
        (3, "chosen by the script itself"),
        (127, "not found"),
        (137, "SIGKILL"),
        (139, "SIGSEGV"),
        (255, "chosen by the script"),
    ],
)
def test_exit_codes_are_words(code: int, words: str):
    assert code_words(code).startswith(f"Exit code {code}: ")
    assert words in code_words(code)


def test_every_signal_has_words():
    for number in range(1, 70):
        assert str(number) in signal_words(number)
    assert "memory" in signal_words(signal.SIGKILL)


def test_an_exit_is_told_by_its_strongest_fact():
    assert "memory ran out" in exit_words(Task(out_of_memory=True, exit_signal=9))
    assert "SIGKILL" in exit_words(Task(exit_signal=9))
    assert "disappeared" in exit_words(Task(state=TaskState.LOST))
    assert exit_words(Task(state=TaskState.RUNNING)) == ""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ModuleNotFoundError: No module named 'cv2'", "Add opencv-python-headless"),
        ("ModuleNotFoundError: No module named 'sklearn.svm'", "Add scikit-learn"),
        ("ModuleNotFoundError: No module named 'helpers'", "src/helpers.py"),
        ("ImportError: cannot import name 'foo' from 'keras.layers'", "keras.layers is installed but has no foo"),
        ("train.py: error: unrecognized arguments: --lr 3", "does not know --lr 3"),
        ("train.py: error: the following arguments are required: --data", "asks for --data"),
        ("tensorflow.python.framework.errors_impl.ResourceExhaustedError: OOM when allocating", "GPU's memory"),
        ("MemoryError: Unable to allocate 3 GiB", "Memory ran out"),
        ("numpy._core._exceptions._ArrayMemoryError: Unable\nMemoryError", "Memory ran out"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'digits.csv'", "data/digits.csv"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/mnt/x.csv'", "does not exist on the machine"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'a/b.txt'", "relative to the source folder"),
        ("PermissionError: [Errno 13] Permission denied: '/etc/x'", "./outputs"),
        ("socket.gaierror: [Errno -3] Temporary failure in name resolution", "network in vain"),
        ("KeyError: 'DATA_DIR'", "environment variable"),
        ("SyntaxError: invalid syntax", "cannot read the script"),
    ],
)
def test_the_log_tells_what_to_do(line: str, words: str):
    found = hints(line.splitlines(), files=["train.py", "src/helpers.py", "data/digits.csv"])
    assert any(words in hint for hint in found), found


def test_a_quiet_log_gives_no_hint():
    assert hints(["Epoch 1/3", "loss: 0.3"]) == []


def test_at_most_three_hints_are_given():
    lines = ["MemoryError", "SyntaxError: x", "KeyError: 'ABC'", "No space left on device", "urlopen error"]
    assert len(hints(lines)) == 3


def test_the_snapshots_files_are_known_to_the_hints(owner: User):
    run = failed_run(owner)
    SnapshotFile.objects.create(snapshot=run.snapshot, path="data/train.csv", sha256="0" * 64, size_bytes=1)
    task = make_task(run, state=TaskState.EXITED, exit_code=1)
    log_write(make_stream(task).pk, b"FileNotFoundError: [Errno 2] No such file or directory: 'train.csv'\n")
    failure = failure_of(run)
    assert failure is not None
    assert "data/train.csv" in failure.hints[0]


def test_a_run_whose_tensorflow_saw_no_gpu_says_so_and_what_to_do(page: Client, owner: User):
    run = failed_run(owner, EndReason.GPU_NOT_SEEN, end_message="TensorFlow sees no GPU on node.")
    make_task(run, state=TaskState.EXITED, exit_code=113, slots=[{"kind": "gpu", "gpu": 0}])
    words = page.get(reverse("run", args=[run.pk])).content.decode()
    assert "The script was not started: TensorFlow sees no GPU." in words
    assert "untick the GPU in a clone" in words
    assert "chosen by the script itself" not in words
