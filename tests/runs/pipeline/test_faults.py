"""What goes wrong on the way: bugs, deaths without a word, folders that resist, machines that stay away."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from compute.errors import LaunchRefused
from compute.models import Lease
from compute.plan import Liveness, TaskStatus
from runs.environments.build import environment_lock
from runs.models import Artifact, Run, Stream, Task
from runs.pipeline import advance, watch_runs
from runs.pipeline.watch import AGAIN_AT_ONCE
from runs.services import run_cancel
from runs.states import ArtifactPlace, EndReason, EnvironmentState, RunState, TaskState
from runs.stores.logs import log_read, log_size
from tests.factories import make_run, make_target
from tests.runs.pipeline.steps import end_well, fresh, task_of

pytestmark = pytest.mark.django_db


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
