"""The examples of ``make demo`` and ``make demo-distributed``: submitted once, however often the platform starts."""

import shutil

import pytest

from compute.models import Node, Slot
from config.up.demo import demo_submit
from config.up.errors import StartRefused
from runs.models import Run
from runs.states import EndReason, RunState
from tests.factories import make_target

pytestmark = pytest.mark.django_db


def test_the_example_is_submitted_again_only_when_it_has_ended(admin):
    make_target(name="local")
    [(first, is_new)] = demo_submit("digits")
    assert is_new
    assert demo_submit("digits") == [(first, False)]
    Run.objects.filter(pk=first.pk).update(state=RunState.COMPLETED, end_reason=EndReason.SUCCEEDED)
    [(second, is_new)] = demo_submit("digits")
    assert is_new
    assert second != first


@pytest.mark.parametrize("has_mpi", [True, False])
def test_the_distributed_examples_need_two_nodes_and_horovods_is_left_out_without_mpi(admin, monkeypatch, has_mpi):
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if has_mpi else None)
    monkeypatch.setattr("runs.services.submit.horovod_problems_at", lambda *arguments, **options: [])
    target = make_target(name="local")
    with pytest.raises(StartRefused, match=r"target local has 1 node\..* as 2 nodes: make run, then Admin"):
        demo_submit("distributed")
    Slot.objects.create(node=Node.objects.create(target=target, name="second"), kind=Slot.Kind.CPU, index=0)
    runs = demo_submit("distributed")
    assert [run.spec.distribution for run, _ in runs] == ["multiworker", "ps", *(["mpi"] if has_mpi else [])]
    assert demo_submit("distributed") == [(run, False) for run, _ in runs]


def test_the_example_needs_an_administrator(member):
    with pytest.raises(StartRefused, match="make run"):
        demo_submit("digits")
