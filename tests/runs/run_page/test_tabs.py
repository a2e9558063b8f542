"""Every tab in every state, as a browser without JavaScript gets it."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from runs.models import Series, Stream
from runs.states import EndReason, EnvironmentState, RunState
from runs.stores.logs import log_write
from runs.stores.points import points_append
from tests.factories import make_environment, make_run, make_target, make_task
from tests.runs.run_page.conftest import FullRun, fill, make_started_run

TABS = ("run", "run-metrics", "run-system", "run-logs", "run-files", "run-events")

ENDED = {
    RunState.COMPLETED: EndReason.SUCCEEDED,
    RunState.FAILED: EndReason.SCRIPT_FAILED,
    RunState.ERRORED: EndReason.TASK_LOST,
    RunState.CANCELLED: EndReason.CANCELLED,
}


def text(page: Client, tab: str, pk: int, **query: str) -> str:
    answer = page.get(reverse(tab, args=[pk]), query)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize("state", RunState.values)
def test_every_tab_of_an_empty_run_is_whole_in_every_state(page: Client, owner: User, state: str):
    reason = ENDED.get(RunState(state), "")
    run = make_run(owner=owner, state=state, end_reason=reason, ended_at=timezone.now() if reason else None)
    for tab in TABS:
        words = text(page, tab, run.pk)
        assert RunState(state).label in words
        assert ("Cancel run" in words) == (state in RunState.values[:5])
    assert "No metrics" in text(page, "run-metrics", run.pk)
    assert "No samples" in text(page, "run-system", run.pk)
    assert "No log yet" in text(page, "run-logs", run.pk)
    assert "./outputs" in text(page, "run-files", run.pk)


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.STOPPING, *ENDED])
def test_every_tab_of_a_full_run_is_whole(page: Client, owner: User, state: str):
    full = fill(make_started_run(owner=owner, state=state, end_reason=ENDED.get(RunState(state), "")))
    for tab in TABS:
        text(page, tab, full.run.pk)


def test_the_head_tells_epoch_time_and_tags(page: Client, full: FullRun):
    words = text(page, "run", full.run.pk)
    assert "Epoch 3 of 20" in words
    assert "width: 12.5%" in words
    assert "about 42 s left" in words
    assert "baseline" in words
    assert "1 min 3" in words


def test_a_running_run_shows_its_last_lines_and_key_metrics(page: Client, full: FullRun):
    words = text(page, "run", full.run.pk)
    assert "second line\nthird, unfinished" in words
    assert "best 0.25" in words
    assert '<path d="M' in words


def test_while_the_environment_is_built_its_steps_and_its_log_are_shown(page: Client, owner: User):
    target = make_target()
    environment = make_environment(
        target,
        state=EnvironmentState.BUILDING,
        progress={"phase": "download", "label": "Downloading tensorflow", "done": 1024, "total": 4096, "percent": 30},
    )
    stream = Stream.objects.create(environment=environment, name="build")
    log_write(stream.pk, b"Resolved 41 packages\n")
    run = make_run(owner=owner, target=target, environment=environment, state=RunState.PREPARING)
    words = text(page, "run", run.pk)
    assert "Downloading tensorflow" in words
    assert 'aria-valuenow="30"' in words
    assert "Resolved 41 packages" in words
    assert "Environment build" in text(page, "run-logs", run.pk)


def test_a_waiting_run_tells_why_and_its_place(page: Client, owner: User):
    target = make_target()
    make_run(owner=owner, target=target, state=RunState.WAITING)
    run = make_run(owner=owner, target=target, state=RunState.WAITING, waiting_for=["Both slots are busy."])
    words = text(page, "run", run.pk)
    assert "Both slots are busy." in words
    assert "number 2 in the queue" in words


def test_training_and_validation_share_a_chart_and_batches_stand_apart(page: Client, full: FullRun):
    words = text(page, "run-metrics", full.run.pk)
    assert words.count("data-chart=") == 2
    assert 'data-chart="metric:loss"' in words
    assert words.index("Per batch") < words.index('data-chart="batch:loss"')
    assert "training" in words
    assert "validation" in words


def test_the_metrics_filter_works_without_javascript(page: Client, full: FullRun):
    assert "data-chart=" not in text(page, "run-metrics", full.run.pk, filter="accuracy")
    assert "data-chart=" in text(page, "run-metrics", full.run.pk, filter="LOSS")


def test_gpus_share_a_chart_and_the_processor_has_its_own(page: Client, full: FullRun):
    words = text(page, "run-system", full.run.pk)
    assert 'data-chart="system:cpu_percent"' in words
    assert words.count('data-chart="system:percent"') == 1
    assert "GPU 0" in words
    assert "GPU 1" in words


def test_the_log_can_be_read_without_javascript(page: Client, full: FullRun):
    words = text(page, "run-logs", full.run.pk)
    assert 'id="L2"' in words
    assert "second line" in words
    assert "\x1b" not in words
    assert reverse("run-raw", args=[full.run.pk, full.output.pk]) in words


def test_another_log_is_chosen_by_the_address(page: Client, full: FullRun):
    assert "the script was started" in text(page, "run-logs", full.run.pk, stream="harness")


def test_an_unknown_log_in_the_address_shows_the_output(page: Client, full: FullRun):
    assert "first line" in text(page, "run-logs", full.run.pk, stream="nonsense")


def test_files_have_size_and_download(page: Client, full: FullRun):
    words = text(page, "run-files", full.run.pk)
    assert "outputs/model.keras" in words
    assert "2.0\xa0KB" in words
    assert "/download" in words


def test_events_tell_who_did_it(page: Client, full: FullRun):
    words = text(page, "run-events", full.run.pk)
    assert "The script is running." in words
    assert "by ada" in words


def test_hostile_names_are_text(page: Client, owner: User):
    evil = "<script>alert(1)</script>\"'&"
    run = make_started_run(owner=owner, name=evil, notes=evil)
    run.tags = [evil]
    run.waiting_for = [evil]
    run.save(update_fields=["tags", "waiting_for"])
    full = fill(run)
    log_write(full.output.pk, f"\n{evil}\n".encode())
    points_append(run_id=run.pk, task_id=full.task.pk, points={("metric", evil): [(1, 1.0, 1.0)]})
    full.run.artifacts.update(path=f"outputs/{evil}")
    for tab in TABS:
        words = text(page, tab, run.pk)
        assert "<script>alert" not in words
        assert "&lt;script&gt;" in words


def test_the_curves_of_many_charts_cost_no_query_each(page: Client, full: FullRun, django_assert_max_num_queries):
    Series.objects.bulk_create(Series(run=full.run, task=full.task, name=f"m{number}") for number in range(60))
    with django_assert_max_num_queries(20):
        text(page, "run-metrics", full.run.pk)


def test_files_events_and_logs_cost_the_same_however_many_there_are(
    page: Client, full: FullRun, django_assert_max_num_queries
):
    for number in range(10):
        make_task(full.run, index=number + 1)
        full.run.events.create(kind="note", message=str(number), actor=full.run.owner)
    for tab in ("run-files", "run-events", "run-logs"):
        with django_assert_max_num_queries(10):
            text(page, tab, full.run.pk)
