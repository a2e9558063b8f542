"""Tasks of one launch that share a user, as ranks of MPI do: who it is, who it is not, and what it leaves."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from compute.plan import LaunchPlan
from tests.compute.plans import launched, output_of, script_plan, wait_for

pytestmark = pytest.mark.needs("root")

LEAVES = """
import os, time
os.mkdir(f"/dev/shm/left-{os.getuid()}-folder")
for name in ("a", "b"):
    open(f"/dev/shm/left-{os.getuid()}-{name}", "w").close()
print("left", flush=True)
time.sleep(600)
"""


def launch_together(backend, count, script="import time; time.sleep(600)"):
    tasks = tuple(script_plan(backend, script).tasks[0] for _ in range(count))
    plan = LaunchPlan(key="together", tasks=tasks, share_user=True)
    return plan, backend.launch(plan)


def user_of(backend, handle):
    return backend.folders.task(handle.key).stat().st_uid


def test_the_tasks_of_one_launch_have_one_user_and_no_other_task_has_it(walled):
    _, first = launch_together(walled, 3)
    _, second = launch_together(walled, 2)
    alone = launched(walled, "")
    users = [{user_of(walled, handle) for handle in handles} for handles in (first, second, [alone])]
    assert [len(found) for found in users] == [1, 1, 1]
    assert len(set.union(*users)) == 3


def test_a_launch_that_was_cut_short_goes_on_with_the_same_user(walled):
    plan, _ = launch_together(walled, 3)
    more = script_plan(walled, "").tasks[0]
    again = walled.launch(replace(plan, tasks=(more, *plan.tasks)))
    assert len({user_of(walled, handle) for handle in again}) == 1


def test_the_launcher_starts_when_all_its_ranks_are_there(walled):
    ranks = [script_plan(walled, "", is_rank=True).tasks[0] for _ in range(3)]
    (launcher,) = script_plan(walled, "", ranks=tuple(rank.key for rank in ranks)).tasks
    handles = walled.launch(LaunchPlan(key="horovod", tasks=(launcher, *ranks), share_user=True))
    assert [handle.key for handle in handles] == [*(rank.key for rank in ranks), launcher.key]


def test_the_user_is_not_given_away_while_one_of_its_tasks_has_a_folder(walled):
    _, (first, second) = launch_together(walled, 2)
    user = user_of(walled, second)
    walled.cleanup(first)
    assert user_of(walled, launched(walled, "", token=f"{user - walled.identities.first - 1}.c0ffee")) != user


def test_what_a_killed_task_left_in_shared_memory_goes_with_it(walled):
    handle = launched(walled, LEAVES)
    wait_for(lambda: "left" in output_of(walled, handle))
    mark = f"left-{user_of(walled, handle)}-"
    others = Path("/dev/shm") / f"{mark}of-somebody-else"
    others.touch()
    try:
        walled.cleanup(handle)
        assert [name for name in os.listdir("/dev/shm") if name.startswith(mark)] == [others.name]
    finally:
        others.unlink()
