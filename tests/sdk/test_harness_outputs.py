"""Files in ./outputs and uploads are listed once they have settled, and all of them at the end."""

import os

import pytest

from tests.sdk.task_folder import TaskFolder, wait_for
from trainhouse.harness.outputs import Outputs
from trainhouse.harness.task import task_read


class Heard:
    def __init__(self):
        self.sentences = []

    def say(self, sentence):
        self.sentences.append(sentence)


@pytest.fixture
def folder(tmp_path):
    return TaskFolder(tmp_path / "task")


def listed(folder, heard=None):
    return [path for path, _, _ in Outputs(task_read(str(folder.root)), heard or Heard()).final()]


def test_a_file_is_listed_while_the_script_runs_once_it_has_settled(server, make_task):
    task = make_task(
        "import os, time\nos.makedirs('outputs/deep')\nopen('outputs/deep/model.keras', 'wb').write(b'x' * 10)\n"
        "while not os.path.exists('go'):\n    open('outputs/growing', 'a').write('x')\n    time.sleep(0.1)"
    )
    harness = task.harness_start()
    wait_for(lambda: server.outputs, what="the first list")

    assert not (task.root / "exit.json").exists()
    (task.root / "work" / "go").touch()
    assert [(path, size) for path, size, _ in server.outputs[0]] == [("outputs/deep/model.keras", 10)]
    assert harness.wait(20) == 0
    assert [path for path, _, _ in server.outputs[-1]] == ["outputs/deep/model.keras", "outputs/growing"]
    assert server.outputs[-1][0][2] == (task.root / "work/outputs/deep/model.keras").stat().st_mtime


def test_links_and_special_files_are_passed_over(folder, tmp_path):
    outputs = folder.root / "work" / "outputs"
    (tmp_path / "secret").write_text("x")
    (outputs / "link").symlink_to(tmp_path / "secret")
    (outputs / "folder").symlink_to(tmp_path)
    os.mkfifo(outputs / "pipe")
    (outputs / "real").write_text("x")

    assert listed(folder) == ["outputs/real"]


def test_an_outputs_folder_replaced_by_a_link_lists_nothing(folder):
    (folder.root / "work" / "outputs").rmdir()
    (folder.root / "work" / "outputs").symlink_to("/etc")

    assert listed(folder) == []


def test_uploads_are_listed_apart_and_unfinished_copies_are_not(folder):
    (folder.root / "uploads" / "a.txt").write_text("x")
    (folder.root / "uploads" / "b.txt.trainhouse-part").write_text("x")

    assert listed(folder) == ["uploads/a.txt"]


def test_more_than_two_thousand_files_are_cut_with_a_sentence(folder):
    for number in range(2100):
        (folder.root / "work" / "outputs" / f"{number:05}").touch()
    heard = Heard()

    assert len(listed(folder, heard)) == 2000
    assert len(heard.sentences) == 1
    assert "the first 2000 by name" in heard.sentences[0]


def test_a_name_that_is_no_utf8_is_passed_over(folder):
    (folder.root / "work" / "outputs" / os.fsdecode(b"\xff")).touch()
    (folder.root / "work" / "outputs" / "größe").touch()

    assert listed(folder) == ["outputs/größe"]
