"""A run of several tasks: who is where, who failed first, and the logs and curves of each."""

import html
import json
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from runs.live.state import look
from runs.models import Run, Task
from runs.selectors.logs import log_streams
from runs.spec import RunSpec
from runs.states import EndReason, RunState
from tests.factories import make_run, make_stream, make_task
from tests.runs.run_page.cluster import end, make_cluster, stop

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(owner: User) -> Run:
    return make_cluster(owner)


def text(page: Client, tab: str, run: Run, **query: str) -> str:
    answer = page.get(reverse(tab, args=[run.pk]), query)
    assert answer.status_code == 200
    return answer.content.decode()


def rows(words: str) -> list[str]:
    """The rows of the tasks' table, without markup."""
    table = words.split('aria-label="Tasks of this run"')[1].split("</table>")[0]
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in table.split("<tr>")[1:]]


def test_every_task_is_told_with_its_node_slots_and_address(page: Client, run: Run):
    head, *tasks = rows(text(page, "run", run))
    assert head == "Task State Node Slots Reached at Last heard Exit"
    clock = r"(\d\d:\d\d:\d\d|\d+ \w+ \d\d:\d\d)"  # one of the day before has its date
    assert re.fullmatch(rf"worker 0 Running node-1 simulated GPU 0 127.0.0.1:20011 {clock}", tasks[0])
    assert re.fullmatch(rf"worker 1 Running node-2 simulated GPU 0 127.0.0.1:20012 {clock}", tasks[1])
    assert re.fullmatch(rf"ps 0 Running node-1 none 127.0.0.1:20013 {clock}", tasks[2])


def test_a_task_that_has_not_met_the_others_yet_says_so(page: Client, run: Run):
    Task.objects.filter(role="ps").update(meeting=None, heartbeat_at=None)
    assert rows(text(page, "run", run))[3].endswith("none not yet not yet")


def test_where_nobody_meets_there_is_no_column_for_it(page: Client, run: Run):
    Task.objects.update(meets=False, meeting=None)
    assert rows(text(page, "run", run))[0] == "Task State Node Slots Last heard Exit"


def test_an_address_with_colons_is_put_in_brackets(page: Client, run: Run):
    Task.objects.filter(role="ps").update(meeting={"address": "fd00::5", "port": 20013})
    assert "[fd00::5]:20013" in rows(text(page, "run", run))[3]


def test_tf_config_is_shown_once_all_have_met(page: Client, run: Run):
    shown = html.unescape(text(page, "run", run)).split('aria-label="TF_CONFIG">')[1].split("</pre>")[0]
    assert json.loads(shown) == {
        "cluster": {"worker": ["127.0.0.1:20011", "127.0.0.1:20012"], "ps": ["127.0.0.1:20013"]},
        "environment": "cloud",
    }
    Task.objects.filter(role="ps").update(meeting={"address": "127.0.0.1", "port": None})
    assert "20013" not in text(page, "run", run)
    Task.objects.filter(role="ps").update(meeting=None)
    assert "TF_CONFIG" not in text(page, "run", run)


def test_the_first_to_fail_is_named_at_the_top_and_what_followed_is_no_failure(page: Client, run: Run):
    end(run, "worker-1", after_s=30, exit_code=3)
    end(run, "worker-0", after_s=40, exit_signal=15)
    end(run, "ps-0", after_s=41, exit_signal=15)
    stop(run, after_s=31, reason=EndReason.SCRIPT_FAILED)
    words = text(page, "run", run)
    stream = Task.objects.get(role="worker", index=1).streams.get(name="output").pk
    assert f'First to fail: <a href="/runs/{run.pk}/logs/?stream={stream}">worker 1</a> on node-2' in words
    assert "2 others ended with the run" in words
    assert "this is worker 1" in words
    _, first, second, server = rows(words)
    assert "worker 0 Ended with the run" in first
    assert "worker 1 Failed first" in second
    assert "ps 0 Ended with the run" in server


def test_two_that_failed_by_themselves_are_both_failures(page: Client, run: Run):
    end(run, "worker-1", after_s=30, exit_code=3)
    end(run, "worker-0", after_s=29, exit_signal=9)
    stop(run, after_s=31, reason=EndReason.KILLED)
    _, first, second, _ = rows(text(page, "run", run))
    assert "worker 0 Failed first" in first
    assert "worker 1 Failed node-2" in second


def test_what_mpirun_ended_for_the_rank_that_failed_is_no_failure(page: Client, run: Run):
    Task.objects.filter(role="ps").update(role="launcher", ends_run=True, meets=False)
    Task.objects.filter(role="worker").update(role="rank", meets=False)
    end(run, "rank-1", after_s=30, exit_code=3)
    end(run, "rank-0", after_s=31, exit_signal=15)
    end(run, "launcher-0", after_s=31.1, exit_code=3)
    stop(run, after_s=32, reason=EndReason.SCRIPT_FAILED)
    assert [row.split(" node")[0] for row in rows(text(page, "run", run))[1:]] == [
        "rank 0 Ended with the run",
        "rank 1 Failed first",
        "launcher 0 Ended with the run",
    ]


def test_servers_that_are_ended_after_a_good_end_are_no_failure(page: Client, run: Run):
    end(run, "worker-0", after_s=30, exit_code=0)
    end(run, "worker-1", after_s=31, exit_code=0)
    end(run, "ps-0", after_s=33, exit_signal=15)
    stop(run, after_s=32, reason=EndReason.SUCCEEDED)
    words = text(page, "run", run)
    assert "First to fail" not in words
    assert [row.split(" node")[0] for row in rows(words)[1:]] == [
        "worker 0 Exited",
        "worker 1 Exited",
        "ps 0 Ended with the run",
    ]


def test_a_server_that_ends_before_the_training_has_failed(page: Client, run: Run):
    end(run, "ps-0", after_s=30, exit_code=0)
    stop(run, after_s=31, reason=EndReason.SCRIPT_FAILED)
    assert "ps 0 Failed first" in rows(text(page, "run", run))[3]


def test_a_metric_has_one_tile_which_says_whose_it_is(page: Client, run: Run):
    words = text(page, "run", run)
    assert words.count('class="tile-name"') == 1
    assert '<span class="tile-task">worker 0</span>' in words


def test_a_run_of_one_task_has_no_table(page: Client, owner: User):
    one = make_run(owner=owner, state=RunState.RUNNING)
    make_task(one)
    words = text(page, "run", one)
    assert "Tasks of this run" not in words
    assert "<dt>Node</dt>" in words


def test_the_logs_stand_under_the_name_of_their_task(page: Client, run: Run):
    words = text(page, "run-logs", run)
    assert re.findall(r'<optgroup label="([^"]+)">', words) == [
        "worker 0 on node-1",
        "worker 1 on node-2",
        "ps 0 on node-1",
    ]
    assert "Output, worker 1</option>" in words


def test_the_curves_of_one_task_are_chosen_by_its_name(page: Client, run: Run):
    everybody = text(page, "run-metrics", run)
    assert everybody.count("data-label=") == 3
    assert '<option value="worker-1">worker 1</option>' in everybody
    alone = text(page, "run-metrics", run, task="worker-1")
    assert alone.count("data-label=") == 1
    assert 'data-label="loss"' in alone
    assert "data-partial" in alone
    assert text(page, "run-metrics", run, task="mean").count("data-label=") == 3
    assert text(page, "run-metrics", run, task="nobody").count("data-label=") == 3


def test_a_run_of_one_task_has_no_choice_of_tasks(page: Client, full):
    assert "data-chart-task" not in text(page, "run-metrics", full.run)


def test_the_page_hears_of_a_heartbeat_now_and_then_and_of_a_meeting_at_once(run: Run):
    before = look(run.pk).version
    Task.objects.filter(role="ps").update(meeting={"address": "127.0.0.1", "port": 20099})
    met = look(run.pk).version
    assert met != before
    Task.objects.update(heartbeat_at=timezone.now() + timedelta(seconds=60))
    assert look(run.pk).version != met


def test_the_logs_of_ranks_come_before_their_launchers(owner: User) -> None:
    run = make_run(owner=owner, spec=RunSpec(distributed_backend="mpi", process_count_per_node=2))
    for role, index in (("launcher", 0), ("rank", 0), ("rank", 1)):
        task = make_task(run, role=role, index=index)
        make_stream(task, "harness")
        make_stream(task, "output")
    assert [stream.label for stream in log_streams(run)] == [
        "Output, rank 0",
        "Platform notes, rank 0",
        "Output, rank 1",
        "Platform notes, rank 1",
        "Output, launcher 0",
        "Platform notes, launcher 0",
    ]
