"""A run's way through its states, step by step, on a machine that behaves as told."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from compute.errors import LaunchRefused
from compute.models import Lease
from compute.plan import GPU_NOT_SEEN_CODE, Liveness, TaskStatus
from runs.environments.build import environment_lock
from runs.models import Artifact, Run, Stream, Task
from runs.pipeline import advance, watch_runs
from runs.pipeline.launch import end_of, task_plan
from runs.pipeline.watch import AGAIN_AT_ONCE
from runs.services import run_cancel
from runs.spec import RunSpec
from runs.states import ArtifactPlace, EndReason, EnvironmentState, RunState, TaskState
from runs.stores.logs import log_read, log_size
from tests.factories import make_run, make_target, make_task

pytestmark = pytest.mark.django_db


def fresh(run: Run) -> Run:
    return Run.objects.get(pk=run.pk)


def task_of(run: Run) -> Task:
    return run.attempts.latest("number").tasks.get()


def end_well(run: Run, backend) -> None:
    task = task_of(run)
    Task.objects.filter(pk=task.pk).update(
        state=TaskState.EXITED, exit_code=0, ended_at=timezone.now(), is_drained=True
    )
    backend.end(task.key, code=0)


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
    assert end_of([task_of(running)])[0] == EndReason.SCRIPT_FAILED
    Task.objects.filter(pk=task.pk).update(slots=[{"kind": "gpu", "gpu": 0}])
    backend.end(task.key, code=GPU_NOT_SEEN_CODE)
    advance(running.pk)
    after = fresh(running)
    assert (after.state, after.end_reason) == (RunState.FAILED, EndReason.GPU_NOT_SEEN)
    assert "TensorFlow sees no GPU on node, so the script was not started" in after.end_message


@pytest.mark.parametrize("use_gpu", [True, False])
def test_on_a_gpu_tensorflow_is_asked_before_the_script(run, environment, use_gpu):
    run.environment = environment
    run.spec_json |= {"use_gpu": use_gpu}
    assert task_plan(run, make_task(run)).gpu_probe is use_gpu


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


def test_a_bug_is_tried_again_and_then_ends_the_run_with_a_reference(run, backend, monkeypatch):
    def broken(*args):
        raise ZeroDivisionError

    monkeypatch.setattr("runs.pipeline.prepare.environment_request", broken)
    for _ in range(5):
        assert fresh(run).state == RunState.SUBMITTED
        advance(run.pk)
    monkeypatch.undo()
    after = fresh(run)
    assert (after.state, after.end_reason) == (RunState.ERRORED, EndReason.PLATFORM_ERROR)
    assert "ZeroDivisionError" in after.end_message
    assert "reference" in after.end_message


def test_a_task_that_dies_without_a_word_is_found_and_its_spool_comes_home(running, backend):
    task = task_of(running)
    backend.spools[task.key] = {"output": b"last words\n"}
    backend.vanish(task.key)
    watch_runs()
    advance(running.pk)
    after = fresh(running)
    assert (after.state, after.end_reason) == (RunState.ERRORED, EndReason.TASK_LOST)
    stream = Stream.objects.get(task=task, name="output")
    assert log_read(stream.pk, offset=0, size=log_size(stream.pk)) == b"last words\n"


def test_an_exit_that_never_reached_the_server_is_read_from_the_task(running, backend):
    task = task_of(running)
    backend.spools[task.key] = {"output": b"done\n"}
    backend.end(task.key, code=0)
    watch_runs()
    advance(running.pk)
    assert fresh(running).state == RunState.COMPLETED


def test_a_script_whose_harness_died_gets_a_new_one(running, backend):
    task = task_of(running)
    backend.statuses[task.key] = TaskStatus(liveness=Liveness.UNWATCHED)
    watch_runs()
    assert backend.launches == [task.key, task.key]
    assert fresh(running).state == RunState.RUNNING


def test_a_silent_task_that_lives_is_read_from_its_folder(running, backend):
    task = task_of(running)
    backend.spools[task.key] = {"output": b"epoch 1\n"}
    Task.objects.filter(pk=task.pk).update(heartbeat_at=timezone.now() - timedelta(minutes=5))
    watch_runs()
    stream = Stream.objects.get(task=task, name="output")
    assert log_read(stream.pk, offset=0, size=100) == b"epoch 1\n"
    assert fresh(running).state == RunState.RUNNING


def test_an_output_that_cannot_be_kept_never_holds_the_slot_for_ever(running, backend, monkeypatch):
    def resists(handle, path, destination):
        raise OSError(36, "File name too long")

    monkeypatch.setattr(backend, "keep_output", resists)
    backend.produced[task_of(running).key] = {"outputs/" + "d" * 300: b"deep"}
    end_well(running, backend)
    advance(running.pk)
    assert fresh(running).state == RunState.STOPPING
    Run.objects.filter(pk=running.pk).update(deadline_at=timezone.now() - timedelta(seconds=1))
    advance(running.pk)
    after = fresh(running)
    assert (after.state, after.end_reason) == (RunState.ERRORED, EndReason.STOPPING_TIMEOUT)
    assert "File name too long" in after.events.get(kind="output_left").message
    assert not Lease.objects.exists()
    assert backend.cleaned == []


def test_an_exit_that_claims_to_lie_in_the_future_is_believed(running, backend):
    backend.end(task_of(running).key, code=0, ago_s=-1e9)
    Task.objects.filter(pk=task_of(running).pk).update(is_drained=True)
    watch_runs()
    task = task_of(running)
    assert task.state == TaskState.EXITED
    assert task.ended_at <= timezone.now()


def test_a_task_that_cannot_be_asked_to_stop_is_killed_after_its_grace(running, backend, monkeypatch):
    def refuses(handle, *, grace_s):
        raise IsADirectoryError(21, "Is a directory", "stop")

    monkeypatch.setattr(backend, "stop", refuses)
    run_cancel(running, actor=running.owner)
    advance(running.pk)
    assert fresh(running).state == RunState.STOPPING
    Run.objects.filter(pk=running.pk).update(state_since=timezone.now() - timedelta(hours=1))
    advance(running.pk)
    advance(running.pk)
    assert backend.kills[0] == task_of(running).key
    assert (fresh(running).state, fresh(running).fault_count) == (RunState.CANCELLED, 0)


def test_an_overdue_run_ends_whatever_goes_wrong(running, backend, monkeypatch):
    monkeypatch.setattr("runs.pipeline.finish.task_drain", lambda task, backend: 1 / 0)
    end_well(running, backend)
    Task.objects.filter(attempt__run=running).update(is_drained=False)
    advance(running.pk)
    assert fresh(running).state == RunState.STOPPING
    Run.objects.filter(pk=running.pk).update(deadline_at=timezone.now() - timedelta(seconds=1))
    advance(running.pk)
    assert fresh(running).end_reason == EndReason.STOPPING_TIMEOUT
    assert not Lease.objects.exists()


def test_one_task_that_cannot_be_looked_after_does_not_hide_the_others(environment, backend, monkeypatch):
    target = make_target(cpu_slots=2)
    first, second = make_run(target=target), make_run(target=target)
    for run in (first, second):
        advance(run.pk)
        backend.statuses[task_of(run).key] = TaskStatus(liveness=Liveness.UNWATCHED)
    tried = []

    def launch(plan):
        tried.append(plan.tasks[0].key)
        raise LaunchRefused("The task has moved its spool away.")

    monkeypatch.setattr(backend, "launch", launch)
    watch_runs()
    assert sorted(tried) == sorted(task_of(run).key for run in (first, second))


def test_a_script_that_ends_every_harness_gets_them_less_and_less_often(running, backend):
    backend.statuses[task_of(running).key] = TaskStatus(liveness=Liveness.UNWATCHED)
    for _ in range(20):
        watch_runs()
        backend.statuses[task_of(running).key] = TaskStatus(liveness=Liveness.UNWATCHED)
    assert len(backend.launches) == 1 + AGAIN_AT_ONCE
    assert running.events.filter(kind="harness").count() == AGAIN_AT_ONCE
    running.events.update(at=timezone.now() - timedelta(minutes=10))
    watch_runs()
    assert len(backend.launches) == 2 + AGAIN_AT_ONCE


def test_a_launch_that_was_cut_short_leaves_nothing_running_when_the_run_is_cancelled(run, backend):
    def killed(plan):
        for task in plan.tasks:
            backend.statuses[task.key] = TaskStatus(liveness=Liveness.ALIVE)
        raise KeyboardInterrupt

    backend.on_launch = killed
    with pytest.raises(KeyboardInterrupt):
        advance(run.pk)
    task = task_of(run)
    assert task.handle is None
    run_cancel(run, actor=run.owner)
    advance(run.pk)
    assert fresh(run).state == RunState.CANCELLED
    assert backend.statuses[task.key].liveness is Liveness.EXITED
    assert backend.cleaned == [task.key]


def test_what_a_refused_launch_has_laid_out_is_removed(run, backend):
    backend.starts = False
    advance(run.pk)
    assert backend.cleaned == [task_of(run).key]


def test_a_run_that_is_looked_at_too_late_but_has_ended_keeps_its_reason(running, backend):
    end_well(running, backend)
    Run.objects.filter(pk=running.pk).update(
        state=RunState.STOPPING,
        end_reason=EndReason.SUCCEEDED,
        end_message="The script ended well.",
        deadline_at=timezone.now() - timedelta(hours=10),
    )
    advance(running.pk)
    after = fresh(running)
    assert (after.state, after.end_reason) == (RunState.COMPLETED, EndReason.SUCCEEDED)
    assert backend.cleaned == [task_of(running).key]


def test_a_file_that_was_moved_just_before_a_death_is_kept_with_the_run(running, backend, monkeypatch):
    task = task_of(running)
    backend.produced[task.key] = {"outputs/model.keras": b"weights"}
    keep = backend.keep_output

    def killed_after(handle, path, destination):
        keep(handle, path, destination)
        del backend.produced[handle.key][path]
        raise KeyboardInterrupt

    monkeypatch.setattr(backend, "keep_output", killed_after)
    end_well(running, backend)
    with pytest.raises(KeyboardInterrupt):
        advance(running.pk)
    advance(running.pk)
    assert fresh(running).state == RunState.COMPLETED
    artifact = Artifact.objects.get(run=running)
    assert (artifact.path, artifact.place, artifact.size_bytes) == ("outputs/model.keras", ArtifactPlace.STORE, 7)
    assert (settings.DATA_DIR / "artifacts" / artifact.storage_key).read_bytes() == b"weights"


def test_a_run_that_ends_while_its_task_is_looked_at_is_not_launched_again(running, backend, monkeypatch):
    task = task_of(running)
    backend.statuses[task.key] = TaskStatus(liveness=Liveness.UNWATCHED)
    observe = backend.observe

    def observe_and_end(handles):
        statuses = observe(handles)
        Run.objects.filter(pk=running.pk).update(state=RunState.CANCELLED)
        return statuses

    monkeypatch.setattr(backend, "observe", observe_and_end)
    watch_runs()
    assert backend.launches == [task.key]


def test_a_build_is_asked_for_as_long_as_nobody_is_at_it(environment, backend, monkeypatch):
    asked = []
    monkeypatch.setattr("runs.pipeline.prepare.enqueue_build", asked.append)
    environment.state = EnvironmentState.BUILDING
    environment.save(update_fields=["state"])
    run = make_run(state=RunState.PREPARING, environment=environment, target=environment.target)
    with environment_lock(environment):
        advance(run.pk)
    assert asked == []
    advance(run.pk)
    assert asked == [environment.pk]


def test_a_folder_that_cannot_be_removed_never_holds_the_slot_for_ever(running, backend, monkeypatch):
    def resists(handle):
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(backend, "cleanup", resists)
    end_well(running, backend)
    advance(running.pk)
    assert fresh(running).state == RunState.STOPPING
    Run.objects.filter(pk=running.pk).update(deadline_at=timezone.now() - timedelta(seconds=1))
    advance(running.pk)
    assert fresh(running).end_reason == EndReason.STOPPING_TIMEOUT
    assert not Lease.objects.exists()


def test_a_run_on_a_target_that_stays_away_ends_at_its_deadline(running, backend):
    run_cancel(running, actor=running.owner)
    backend.reachable = False
    advance(running.pk)
    assert fresh(running).state == RunState.STOPPING
    Run.objects.filter(pk=running.pk).update(deadline_at=timezone.now() - timedelta(seconds=1))
    advance(running.pk)
    assert fresh(running).end_reason == EndReason.STOPPING_TIMEOUT
    assert task_of(running).state == TaskState.LOST
    assert not Lease.objects.exists()


def test_a_run_whose_environment_was_deleted_while_it_waited_says_so(run, backend, environment, monkeypatch):
    holder = make_run(target=run.target)
    advance(holder.pk)
    advance(run.pk)
    waiting = Run.objects.get(state=RunState.WAITING)
    Run.objects.filter(pk=waiting.pk).update(environment=None)
    Run.objects.filter(pk=holder.pk).update(state=RunState.COMPLETED)
    Lease.objects.all().delete()
    advance(waiting.pk)
    after = fresh(waiting)
    assert (after.state, after.end_reason) == (RunState.ERRORED, EndReason.LAUNCH_FAILED)
    assert "The environment was deleted" in after.end_message
