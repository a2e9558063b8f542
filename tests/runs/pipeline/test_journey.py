"""A run's way through its states, step by step, on a machine that behaves as told."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from compute.models import Lease
from compute.plan import GPU_NOT_SEEN_CODE
from runs.models import Artifact, Run, Task
from runs.pipeline import advance
from runs.pipeline.plan import task_plan
from runs.services import run_cancel
from runs.spec import RunSpec
from runs.states import EndReason, EnvironmentState, RunState, TaskState
from tests.factories import make_run, make_task
from tests.runs.pipeline.steps import end_well, fresh, task_of

pytestmark = pytest.mark.django_db


def test_one_call_goes_from_submission_to_the_launch_when_everything_is_there(run, backend):
    advance(run.pk)
    after = fresh(run)
    assert after.state == RunState.STARTING
    assert after.lock == "six==1.17.0"
    assert backend.launches == [task_of(run).key]
    assert Lease.objects.get().holder == run.attempts.get().lease_holder
    assert [event.kind for event in run.events.all()] == ["preparing", "waiting", "starting"]


def test_advancing_again_launches_nothing_twice(run, backend):
    for _ in range(3):
        advance(run.pk)
    assert backend.launches == [task_of(run).key]
    assert run.attempts.count() == 1


def test_a_script_that_ends_well_completes_the_run_and_frees_its_slot(running, backend):
    backend.produced[task_of(running).key] = {"outputs/model.keras": b"weights"}
    end_well(running, backend)
    advance(running.pk)
    after = fresh(running)
    assert (after.state, after.end_reason) == (RunState.COMPLETED, EndReason.SUCCEEDED)
    assert not Lease.objects.exists()
    artifact = Artifact.objects.get(run=running)
    assert (artifact.path, artifact.size_bytes) == ("outputs/model.keras", 7)
    assert (settings.DATA_DIR / "artifacts" / artifact.storage_key).read_bytes() == b"weights"
    assert backend.cleaned == [task_of(running).key]


@pytest.mark.parametrize(
    ("exit_fields", "reason", "words"),
    [
        ({"exit_code": 3}, EndReason.SCRIPT_FAILED, "exit code 3"),
        ({"exit_signal": 9}, EndReason.KILLED, "signal 9 (SIGKILL)"),
        ({"exit_signal": 9, "out_of_memory": True}, EndReason.OUT_OF_MEMORY, "ran out of memory"),
    ],
)
def test_the_end_of_the_script_becomes_the_runs_reason_in_words(running, backend, exit_fields, reason, words):
    task = task_of(running)
    Task.objects.filter(pk=task.pk).update(
        state=TaskState.EXITED, ended_at=timezone.now(), is_drained=True, **exit_fields
    )
    backend.end(task.key, code=exit_fields.get("exit_code"), signal=exit_fields.get("exit_signal"))
    advance(running.pk)
    after = fresh(running)
    assert (after.state, after.end_reason) == (RunState.FAILED, reason)
    assert words in after.end_message


def test_a_task_that_saw_no_gpu_fails_for_that_reason_only_where_it_had_one(running, backend):
    task = task_of(running)
    Task.objects.filter(pk=task.pk).update(state="exited", exit_code=GPU_NOT_SEEN_CODE, is_drained=True)
    assert not task_of(running).saw_no_gpu
    Task.objects.filter(pk=task.pk).update(slots=[{"kind": "gpu", "gpu": 0}])
    backend.end(task.key, code=GPU_NOT_SEEN_CODE)
    advance(running.pk)
    after = fresh(running)
    assert (after.state, after.end_reason) == (RunState.FAILED, EndReason.GPU_NOT_SEEN)
    assert "TensorFlow sees no GPU on node, so the script was not started" in after.end_message


@pytest.mark.parametrize(("slots", "is_asked"), [([{"id": 1, "gpu": 0}], True), ([{"id": 1}], False)])
def test_a_task_that_has_a_gpu_asks_tensorflow_for_it_before_the_script(run, environment, slots, is_asked):
    run.environment = environment
    assert task_plan(run, make_task(run, slots=slots)).gpu_probe is is_asked


def test_legacy_keras_reaches_the_script_as_its_variable(run, environment):
    run.environment = environment
    run.spec_json |= {"legacy_keras": True}
    task = make_task(run)
    run.lock = "tensorflow-cpu==2.21.0\ntf-keras==2.21.0\n"
    assert task_plan(run, task).environ["TF_USE_LEGACY_KERAS"] == "1"
    run.lock = "tensorflow-cpu==2.15.1\n"
    assert "TF_USE_LEGACY_KERAS" not in task_plan(run, task).environ


def test_cancelling_a_running_run_stops_its_task_and_frees_the_slot(running, backend):
    run_cancel(running, actor=running.owner)
    advance(running.pk)
    after = fresh(running)
    assert (after.state, after.end_reason) == (RunState.CANCELLED, EndReason.CANCELLED)
    assert backend.stops == [task_of(running).key]
    assert not Lease.objects.exists()


def test_cancelling_while_waiting_takes_no_slot(run, environment, backend):
    holder = make_run(target=run.target)
    advance(holder.pk)
    advance(run.pk)
    # The slot went to whoever advanced first; the other one waits and says for what.
    waiting = Run.objects.get(state=RunState.WAITING)
    assert waiting.waiting_for
    run_cancel(waiting, actor=waiting.owner)
    advance(waiting.pk)
    assert fresh(waiting).state == RunState.CANCELLED
    assert Lease.objects.count() == 1


def test_runs_that_wait_for_the_same_slots_go_in_the_order_of_submission(run, backend):
    first, second, third = run, make_run(target=run.target), make_run(target=run.target)
    for each in (first, second, third):
        advance(each.pk)
    assert fresh(second).waiting_for == ["node: its 1 CPU slot is busy with " + str(first) + "."]
    assert fresh(third).waiting_for == [f"1 run ahead in the queue, next {second}."]
    Task.objects.filter(attempt__run=first).update(state=TaskState.RUNNING)
    advance(first.pk)
    end_well(first, backend)
    advance(first.pk)
    advance(third.pk)
    assert fresh(third).state == RunState.WAITING
    advance(second.pk)
    assert fresh(second).state == RunState.STARTING


def test_a_stop_that_is_ignored_ends_in_a_kill(running, backend, monkeypatch):
    monkeypatch.setattr("runs.pipeline.finish.PATIENCE_S", 0.0)
    backend.obeys = False
    run_cancel(running, actor=running.owner)
    advance(running.pk)
    assert fresh(running).state == RunState.STOPPING
    Run.objects.filter(pk=running.pk).update(state_since=timezone.now() - timedelta(seconds=60))
    advance(running.pk)
    assert backend.kills[0] == task_of(running).key
    advance(running.pk)
    assert fresh(running).state == RunState.CANCELLED


def test_a_refused_launch_is_the_machines_fault_and_says_so(run, backend):
    backend.starts = False
    advance(run.pk)
    after = fresh(run)
    assert (after.state, after.end_reason) == (RunState.ERRORED, EndReason.LAUNCH_FAILED)
    assert "The machine says no." in after.end_message
    assert not Lease.objects.exists()


def test_an_unreachable_target_is_tried_again(run, backend):
    backend.reachable = False
    advance(run.pk)
    after = fresh(run)
    assert after.state == RunState.STARTING
    assert after.due_at > timezone.now()
    advance(run.pk)
    assert [event.kind for event in run.events.all()].count("unreachable") == 1
    backend.reachable = True
    advance(run.pk)
    assert backend.launches == [task_of(run).key]


@pytest.mark.parametrize(
    ("state", "reason", "final"),
    [
        (RunState.PREPARING, EndReason.PREPARING_TIMEOUT, RunState.FAILED),
        (RunState.STARTING, EndReason.STARTING_TIMEOUT, RunState.ERRORED),
    ],
)
def test_each_deadline_has_a_reason_of_its_own(environment, backend, state, reason, final):
    past = timezone.now() - timedelta(seconds=1)
    run = make_run(state=state, environment=environment, deadline_at=past)
    advance(run.pk)
    after = fresh(run)
    assert (after.state, after.end_reason) == (final, reason)


def test_a_run_that_cannot_be_stopped_in_time_says_so_and_keeps_its_folder(running, backend, monkeypatch):
    monkeypatch.setattr("runs.pipeline.finish.PATIENCE_S", 0.0)
    backend.obeys = False
    run_cancel(running, actor=running.owner)
    advance(running.pk)
    Run.objects.filter(pk=running.pk).update(deadline_at=timezone.now() - timedelta(seconds=1))
    advance(running.pk)
    after = fresh(running)
    assert (after.state, after.end_reason) == (RunState.ERRORED, EndReason.STOPPING_TIMEOUT)
    assert "The run was cancelled." in after.end_message
    assert backend.cleaned == []


def test_the_time_limit_ends_the_run(environment, backend):
    target_run = make_run()
    spec = RunSpec(compute_target=target_run.target.name, max_run_duration_seconds=60)
    Run.objects.filter(pk=target_run.pk).update(spec_json=spec.to_json())
    advance(target_run.pk)
    Task.objects.filter(attempt__run=target_run).update(state=TaskState.RUNNING)
    advance(target_run.pk)
    Run.objects.filter(pk=target_run.pk).update(started_at=timezone.now() - timedelta(seconds=61))
    advance(target_run.pk)
    after = fresh(target_run)
    assert (after.state, after.end_reason) == (RunState.FAILED, EndReason.TIME_LIMIT)
    assert "0:01:00" in after.end_message


def test_an_environment_that_cannot_be_built_fails_the_run_with_its_error(environment, backend):
    environment.state, environment.error = EnvironmentState.FAILED, "There is no package called nosuchthing."
    environment.save(update_fields=["state", "error"])
    run = make_run()
    advance(run.pk)
    after = fresh(run)
    assert (after.state, after.end_reason) == (RunState.FAILED, EndReason.ENVIRONMENT_FAILED)
    assert after.end_message == "There is no package called nosuchthing."
