"""Channels and packages that cannot be used, each with the sentence that a person reads."""

from pathlib import Path

import pytest
from django.conf import settings

from runs.environments import environment_build
from runs.environments.conda.failures import conda_failure, crash_reason
from runs.models import Environment
from runs.states import EnvironmentState
from tests.runs.environments.conda.channel import Channel, Link
from tests.runs.environments.conda.conftest import CondaOrder


def failed(environment: Environment) -> str:
    built = environment_build(environment.pk)
    assert built.state == EnvironmentState.FAILED
    return built.error


def test_an_unknown_package_is_named_with_the_channels(channel: Channel, conda_order: CondaOrder) -> None:
    sentence = f"The conda channels ({channel.url}) have no package 'no-such-thing'. Check its spelling under"
    assert failed(conda_order("no-such-thing")).startswith(sentence)


def test_a_version_that_no_channel_has_is_named(channel: Channel, conda_order: CondaOrder) -> None:
    channel.add("leaf", "1.5")
    assert "have no version that fits leaf ==99" in failed(conda_order("leaf ==99"))


def test_packages_that_exclude_each_other_are_both_named(channel: Channel, conda_order: CondaOrder) -> None:
    channel.add("leaf", "1.5")
    channel.add("leaf", "2.5")
    channel.add("low", "1.0", depends=("leaf <2",))
    channel.add("high", "1.0", depends=("leaf >=2",))
    sentence = failed(conda_order("low", "high"))
    assert sentence.startswith("The conda packages do not fit together")
    assert "low 1.0" in sentence
    assert "high 1.0" in sentence


def test_a_channel_that_does_not_exist_is_named(conda_order: CondaOrder, open_folder: Path) -> None:
    address = (open_folder / "nowhere").as_uri()
    assert f"There is no conda channel '{address}'" in failed(conda_order("leaf", conda={"channels": [address]}))


def test_a_channel_that_does_not_answer_is_named(conda_order: CondaOrder) -> None:
    order = conda_order("leaf", conda={"channels": ["http://127.0.0.1:9/lab"]})
    sentence = failed(order)
    assert "A conda channel cannot be reached at http://127.0.0.1:9/lab/" in sentence
    assert "Connection refused" in sentence


def test_a_channel_over_http_is_used(channel: Channel, served: str, conda_order: CondaOrder) -> None:
    channel.add("leaf", "1.5", files={"share/leaf.txt": "leaf"})
    built = environment_build(conda_order("leaf", conda={"channels": [served]}).pk)
    assert built.state == EnvironmentState.READY, built.error
    assert f" {served}/noarch/leaf-1.5-0.conda sha256:" in built.lock


@pytest.mark.parametrize("over_http", [False, True])
def test_a_package_with_another_hash_than_announced_is_not_installed(
    channel: Channel, served: str, conda_order: CondaOrder, over_http: bool
) -> None:
    channel.add("wrong", f"1.{int(over_http)}", files={"share/wrong.txt": "x"}, sha256="0" * 64)
    environment = conda_order("wrong", conda={"channels": [served if over_http else channel.url]})
    sentence = failed(environment)
    assert "wrong" in sentence
    assert "another SHA-256" in sentence


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("climbs", {"../../climbed.txt": "x"}),
        ("roots", {"/tmp/trainhouse-rooted.txt": "x"}),
        ("links", {"out": Link("/tmp"), "out/trainhouse-linked.txt": "x"}),
    ],
)
def test_a_package_that_reaches_outside_is_refused(
    channel: Channel, conda_order: CondaOrder, name: str, files: dict[str, "str | Link"]
) -> None:
    channel.add(name, "1.0", files=files)
    environment = conda_order(name)
    sentence = failed(environment)
    assert "damaged" in sentence
    assert not list(Path("/tmp").glob("trainhouse-*.txt"))
    assert not (settings.DATA_DIR / "climbed.txt").exists()


def test_scripts_of_packages_do_not_run(channel: Channel, conda_order: CondaOrder, open_folder: Path) -> None:
    open_folder.chmod(0o777)
    script = f"#!/bin/sh\ntouch {open_folder}/ran\n"
    files = {"bin/.scripted-post-link.sh": script, "etc/conda/activate.d/scripted.sh": script}
    channel.add("scripted", "1.0", files=files)
    built = environment_build(conda_order("scripted").pk)
    assert built.state == EnvironmentState.READY, built.error
    assert not (open_folder / "ran").exists()


def test_condas_tensorflow_is_not_put_under_pypis(channel: Channel, conda_order: CondaOrder) -> None:
    channel.add("tensorflow", "2.18.0")
    channel.add("hub", "1.0", depends=("tensorflow",))
    assert "The conda package hub brings conda's tensorflow, and TensorFlow comes from PyPI" in failed(
        conda_order("hub")
    )


def test_a_python_package_of_a_channel_without_python_is_named(channel: Channel, conda_order: CondaOrder) -> None:
    channel.add_python_module("pure", "1.0", depends=())
    assert "its channel has no Python to install it for" in failed(conda_order("pure"))


def test_a_python_that_nobody_has_is_named(channel: Channel, conda_order: CondaOrder) -> None:
    channel.add("leaf", "1.5")
    order = conda_order("leaf", python=("3.9.*",), conda={"pythons": ["3.9"]})
    assert "The conda channels have no Python. The run asks for python 3.9.*, and the machine has" in failed(order)


def test_a_message_that_is_not_known_is_shown_as_it_is() -> None:
    sentence = conda_failure("InstallerError", "strange\nwords", [], what="Installing the conda packages")
    assert sentence == "Installing the conda packages failed: strange words"
    assert "out of memory" not in crash_reason("strange words", what="Installing the conda packages")


def test_a_full_disk_is_said() -> None:
    assert "disk of the machine that builds is full" in conda_failure(
        "IoError", "x: No space left on device", [], what=""
    )
