"""Folders for what scripts download: kept from task to task of one owner, closed to everybody else's."""

import json
import os

import pytest

from compute.backends.local.caches import VARIABLES, cache_ensure
from compute.backends.local.identities import Identities
from tests.compute.plans import finished, launched, output_of

#: Keeps weights as Keras and the hubs do: in folders of its own, through a temporary file, with a lock.
DOWNLOADER = """
import fcntl, os
for variable in ("KERAS_HOME", "HF_HOME", "TFHUB_CACHE_DIR", "KAGGLEHUB_CACHE"):
    folder = os.path.join(os.environ[variable], "models", "small")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, ".lock"), "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        name = os.path.join(folder, "weights")
        before = open(name).read() if os.path.exists(name) else ""
        with open(name + ".incomplete", "w") as fresh:
            fresh.write(before + "x")
        os.replace(name + ".incomplete", name)
        print(variable, len(before))
"""
SPY = """
import os, sys
for path in sys.argv[1:]:
    for attempt in (os.listdir, lambda p: open(os.path.join(p, "planted"), "w")):
        try:
            attempt(path)
        except OSError as error:
            print(type(error).__name__)
        else:
            print("DONE")
"""


def ran(backend, script, *words, **changes):
    handle = launched(backend, script, argv=("/usr/bin/python3", "train.py", *words), **changes)
    assert finished(backend, handle).exit.code == 0, output_of(backend, handle)
    return output_of(backend, handle)


def test_what_one_task_downloads_the_next_of_the_same_owner_finds_and_may_renew(backend):
    first = ran(backend, DOWNLOADER, cache_key="7")
    assert first.split() == [
        word for name in ("KERAS_HOME", "HF_HOME", "TFHUB_CACHE_DIR", "KAGGLEHUB_CACHE") for word in (name, "0")
    ]
    second = ran(backend, DOWNLOADER, cache_key="7")
    assert second.split()[1::2] == ["1"] * 4
    assert ran(backend, DOWNLOADER, cache_key="8").split()[1::2] == ["0"] * 4


def test_another_owners_task_can_neither_look_into_it_nor_write(walled):
    ran(walled, DOWNLOADER, cache_key="7")
    mine = walled.folders.cache("7")
    said = ran(walled, SPY, str(mine), str(mine / "keras"), str(mine.parent), cache_key="8")
    assert said.split() == ["PermissionError"] * 6
    assert ran(walled, SPY, str(mine)).split() == ["PermissionError"] * 2
    assert ran(walled, SPY, str(mine), cache_key="7").split() == ["DONE"] * 2


def test_a_variable_of_the_run_wins(backend):
    script = "import os\nprint(os.environ['HF_HOME'], 'KERAS_HOME' in os.environ)\n"
    assert ran(backend, script, cache_key="7", environ={"HF_HOME": "/mnt/weights"}) == "/mnt/weights True\n"
    assert ran(backend, script, environ={"HF_HOME": "x"}) == "x False\n"


def test_the_group_of_a_folder_is_nobodys_user_id_and_the_task_has_no_other(walled):
    groups = "import os\nprint(os.getuid(), os.getgroups())\n"
    uid, said = ran(walled, groups, cache_key="7").split(maxsplit=1)
    group = walled.folders.cache("7").stat().st_gid
    assert json.loads(said) == [group]
    assert group != int(uid)
    assert walled.folders.cache("7").stat().st_mode & 0o7777 == 0o2770
    identities = Identities.parse("210000-210002", separate=True)
    folders = walled.folders
    cache_ensure("a", folders=folders, identities=identities, in_use={210002})
    assert folders.cache("a").stat().st_gid == 210001
    with pytest.raises(LookupError, match="Widen the range"):
        cache_ensure("b", folders=folders, identities=identities, in_use={210002})


def test_a_key_that_leads_elsewhere_is_refused(backend):
    with pytest.raises(ValueError, match="cache key"):
        launched(backend, "", cache_key="../tasks")
    assert set(VARIABLES) == {"KERAS_HOME", "KAGGLEHUB_CACHE", "TFHUB_CACHE_DIR", "HF_HOME"}


def test_what_a_crash_left_of_a_folder_is_taken_away(backend):
    backend.environment_root()
    left = backend.folders.caches / ".fresh-7"
    left.mkdir()
    cache_ensure("7", folders=backend.folders, identities=backend.identities, in_use=())
    assert os.listdir(backend.folders.caches) == ["7"]
