"""The local target's folders, user ids and tools: what is laid where, for whom, and taken away again."""

import json
import os
from pathlib import Path

import pytest

from compute.backends.local.identities import Identities, Identity, barred_folder, gpu_groups
from compute.backends.local.laying import task_lay
from compute.backends.local.removal import tree_remove
from compute.backends.local.tools import tools_ensure
from compute.plan import ClusterPlan
from tests.compute.plans import finished, launched, script_plan


@pytest.mark.parametrize(
    "text", ["", "200000", "200000-", "200001-200000", "5-9", "200000-200000", "0x1-0x9", "1000-5000000000"]
)
def test_a_range_of_user_ids_that_cannot_be_used_is_refused_with_its_value(text):
    with pytest.raises(ValueError, match=f"TRAINHOUSE_RUN_USER_IDS is {text!r}"):
        Identities.parse(text)


def test_the_first_id_builds_and_the_others_are_handed_out_by_task():
    identities = Identities.parse(" 200000-200003 ", separate=True)
    assert identities.build.uid == 200000
    assert [identities.free_for(task, in_use=()).uid for task in range(4)] == [200001, 200002, 200003, 200001]
    assert identities.free_for(0, in_use={200001, 200002}).uid == 200003
    with pytest.raises(LookupError, match="All 3 user ids"):
        identities.free_for(0, in_use={200001, 200002, 200003})


def test_without_root_everything_is_the_servers_own_user():
    identities = Identities.parse("200000-200003", separate=False)
    assert identities.build.uid is None
    assert identities.free_for(1, in_use={200001, 200002, 200003}).owner == os.geteuid()


def test_device_nodes_open_to_all_need_no_group(tmp_path):
    assert gpu_groups(tmp_path) == ()
    (tmp_path / "nvidia0").touch()
    assert gpu_groups(tmp_path) == ()  # a plain file is no device
    assert gpu_groups(Path("/nowhere")) == ()


@pytest.mark.needs("root")
def test_the_group_of_a_closed_device_node_is_lent(tmp_path):
    import stat

    for name, mode, group in (("nvidia0", 0o660, 4321), ("nvidiactl", 0o666, 4321), ("nvidia-uvm", 0o660, 0)):
        os.mknod(tmp_path / name, mode | stat.S_IFCHR, os.makedev(1, 3))
        os.chmod(tmp_path / name, mode)
        os.chown(tmp_path / name, 0, group)
    assert gpu_groups(tmp_path) == (4321,)


def test_the_folder_that_bars_the_way_is_found(tmp_path):
    inside = tmp_path / "closed" / "inside"
    inside.mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    somebody = Identity(name="x", uid=os.geteuid() + 4711)
    assert barred_folder(inside, somebody) in (tmp_path / "closed", *tmp_path.parents, tmp_path)
    assert barred_folder(inside, Identity(name="x")) is None
    assert barred_folder(Path("/usr/bin/env"), somebody) is None


def test_the_folders_have_the_owners_and_rights_that_the_walls_need(backend):
    backend.environment_root()
    build = backend.identities.build.owner
    found = {
        path.name: (path.stat().st_mode & 0o777, path.stat().st_uid)
        for path in (backend.folders.tasks, backend.folders.tools, backend.folders.environments, backend.folders.build)
    }
    assert found == {
        "tasks": (0o711, os.geteuid()),
        "tools": (0o755, os.geteuid()),
        "environments": (0o711, build),
        "build": (0o700, build),
    }


def test_a_task_folder_is_its_users_alone(backend):
    handle = launched(backend, "pass\n", files={"data/x.csv": "1"})
    finished(backend, handle)
    folder = backend.folders.task(handle.key)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.lstat().st_uid for path in folder.rglob("*")} == {folder.stat().st_uid}
    assert {(folder / name).stat().st_mode & 0o777 for name in ("token", "task.json", "server")} == {0o600}


def test_a_key_that_is_no_file_name_is_refused(backend):
    for key in ("", ".", "..", "../x", "a/b", ".hidden", "x" * 200, "a\n"):
        with pytest.raises(ValueError, match="task key"):
            backend.folders.task(key)


def test_the_tools_are_laid_once_for_each_content(tmp_path):
    source = tmp_path / "trainhouse"
    (source / "harness" / "__pycache__").mkdir(parents=True)
    (source / "harness" / "__main__.py").write_text("one")
    (source / "harness" / "__pycache__" / "x.pyc").write_text("compiled")
    tools = tmp_path / "tools"
    tools.mkdir()
    first = tools_ensure(tools, source)
    assert tools_ensure(tools, source) == first
    laid = {str(path.relative_to(first)): path.stat().st_mode & 0o777 for path in first.rglob("*")}
    assert laid == {"trainhouse": 0o755, "trainhouse/harness": 0o755, "trainhouse/harness/__main__.py": 0o644}
    other = tmp_path / "newer" / "trainhouse"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("two")
    assert tools_ensure(tools, other) != first
    assert {path.name[0] for path in tools.iterdir()} != {"."}


def test_removal_follows_nothing_and_stops_at_nothing(tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "kept").touch()
    tree = tmp_path / "tree"
    (tree / "closed" / "inside").mkdir(parents=True)
    (tree / "closed" / "inside" / "file").touch()
    (tree / "link").symlink_to(precious)
    (tree / "closed" / "link").symlink_to(precious)
    (tree / ".removing-1").touch()
    (tree / ".removing-2" / "full").mkdir(parents=True)
    os.mkfifo(tree / "pipe")
    (tree / "closed" / "inside").chmod(0)
    (tree / "closed").chmod(0)
    tree_remove(tree)
    tree_remove(tree)
    assert not tree.exists()
    assert (precious / "kept").exists()


def test_removal_reaches_any_depth(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    here = os.open(tree, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    tree_remove(tree)
    assert not tree.exists()


def test_a_task_of_a_cluster_is_told_whom_it_meets_and_any_other_is_not(backend):
    cluster = ClusterPlan(
        members=("worker-0", "ps-0"),
        member="ps-0",
        address="127.0.0.1",
        ports=(20000, 27999),
        listens=True,
        tf_config=True,
    )
    alone, member = script_plan(backend, "pass"), script_plan(backend, "pass", cluster=cluster)
    told = []
    for plan in (alone, member):
        backend.folders.ensure(backend.identities)
        (task,) = plan.tasks
        folder = task_lay(task, folders=backend.folders, identities=backend.identities, tools=backend.folders.tools)
        told.append(json.loads((folder / "task.json").read_text()).get("cluster"))

    assert told == [
        None,
        {
            "members": ["worker-0", "ps-0"],
            "member": "ps-0",
            "address": "127.0.0.1",
            "ports": [20000, 27999],
            "listens": True,
            "tf_config": True,
        },
    ]
    assert backend.render(member)["tasks"][0]["cluster"]["member"] == "ps-0"
