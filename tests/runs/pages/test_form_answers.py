"""What the form asks for while it is filled in."""

import pytest
from django.test import Client

from compute.models import Lease, Slot
from runs.spec import RunSpec
from tests.factories import make_run, make_target

pytestmark = pytest.mark.usefixtures("local")


def place(person, **query):
    return person.get("/runs/new/place", {"compute_target": "local", **query}).content.decode()


def test_free_slots_and_the_verdict_follow_the_leases(person):
    assert "2 of 2 CPU slots free" in place(person)
    assert "can start at once" in place(person)
    for slot in Slot.objects.all():
        Lease.objects.create(slot=slot, holder="attempt-1", label="another's secret experiment #3")
    busy = place(person)
    assert "0 of 2 CPU slots free" in busy
    assert "will wait" in busy
    assert "secret experiment" not in busy


def test_a_gpu_that_is_not_there_can_never_be_had(person):
    answer = place(person, use_gpu="on")
    assert 'data-gpus="0"' in answer
    assert "This run asks for 1 GPU on one node; no node of local has any." in answer


def test_simulated_gpus_are_called_so_and_what_they_mean_is_said(person):
    make_target(name="laptop", cpu_slots=1, gpus=2, simulated=True)
    answer = place(person, compute_target="laptop", use_gpu="on")
    assert "1 of 1 CPU slot free, 2 of 2 simulated GPUs free" in answer
    assert "Asks for 1 simulated GPU of laptop: can start at once." in answer
    assert "TensorFlow trains on the CPU" in answer
    assert "TensorFlow trains on the CPU" not in place(person, compute_target="laptop")


def test_gpus_are_counted(person):
    make_target(name="gpus", cpu_slots=1, gpus=1)
    answer = place(person, compute_target="gpus", use_gpu="on")
    assert "1 of 1 CPU slot free, 1 of 1 GPU free" in answer
    assert "Asks for 1 GPU of gpus: can start at once" in answer


def test_a_closed_target_and_an_unknown_one_are_said(person, local):
    local.is_open = False
    local.save()
    assert "takes no new runs" in place(person)
    assert "Asks for" not in place(person, compute_target="moon")


def test_packages_are_checked_as_they_stand(person):
    answer = person.post("/runs/new/packages", {"pip_packages": "pandas>=2\n<b>x</b>\nx @ http://evil/x.whl"})
    page = answer.content.decode()
    assert page.count("field-error") >= 2
    assert "is no package requirement" in page
    assert "names an address" in page
    assert "<b>" not in page
    assert "field-error" not in person.post(
        "/runs/new/packages", {"pip_packages": "pandas\n# data\n"}
    ).content.decode().replace("field-errors", "")


def test_more_workers_than_slots_name_the_fields_as_the_form_does_and_the_way_out(person, admin):
    make_target(name="small", cpu_slots=1, gpus=0)
    boss = Client()
    boss.force_login(admin)
    asked = {"compute_target": "small", "distributed_backend": "multiworker", "worker_count": "2"}
    answer = place(person, **asked)
    assert answer.count("no node of target small has more than 1. Lower Workers or choose another target.") == 2
    assert "An administrator can show small as several nodes" in answer
    assert "Virtual nodes of small</a>" in place(boss, **asked)
    assert "several nodes" not in place(person, **asked | {"worker_count": "1"})
    assert "Nodes is 0; it must be" in place(person, **asked | {"node_count": "0"})


def test_a_run_that_is_cloned_is_told_what_its_distribution_means_at_once(person, member, monkeypatch):
    def advice(target, spec, **_):
        return [f"told of {spec.distributed_backend}"]

    monkeypatch.setattr("runs.services.submit.horovod_advice_at", advice)
    run = make_run(owner=member, spec=RunSpec(compute_target="local", distributed_backend="mpi"))
    assert "told of mpi" in person.get(f"/runs/new?clone={run.pk}").content.decode()
