"""This machine as a target: registered once, looked at again, its slots following what is there."""

import dataclasses
import os

import pytest

from compute import probes
from compute.backends.local import LocalBackend, facts
from compute.errors import TargetUnreachable
from compute.models import ComputeTarget, Lease, Node, NodeState, Slot
from compute.registry import backend_of, target_gpus_per_node, target_slots

pytestmark = pytest.mark.django_db

GPU = {"index": 0, "uuid": "GPU-1", "model": "H200", "memory_mb": 143_771}


def machine(monkeypatch, **changes):
    """This machine's facts, with changes, for every look from now on."""
    found = {**facts.local_facts(), "cpu_cores": 8, "gpus": [], **changes}
    monkeypatch.setattr("compute.backends.local.backend.local_facts", lambda: found)


def slots_of(target) -> list[tuple[str, int]]:
    return list(Slot.objects.filter(node__target=target).order_by("kind", "index").values_list("kind", "index"))


def test_the_local_target_is_registered_with_what_this_machine_has():
    target = probes.local_target_ensure()
    node = Node.objects.get(target=target)
    assert (target.name, target.kind, node.name, node.state) == ("local", "local", "local", NodeState.HEALTHY)
    assert node.cpu_cores == facts.cpu_cores() <= len(os.sched_getaffinity(0))
    assert 0 < node.memory_mb <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    assert node.facts["hostname"]
    cpu_slots = max(1, node.cpu_cores // 2)
    assert target_slots(target)["cpu"] == (cpu_slots, cpu_slots)


def test_registering_again_keeps_what_an_administrator_changed():
    target = probes.local_target_ensure()
    ComputeTarget.objects.update(is_open=False, description="ours")
    Node.objects.update(is_open=False)
    again = probes.local_target_ensure()
    assert (again.pk, again.is_open, again.description) == (target.pk, False, "ours")
    assert not Node.objects.get().is_open
    assert Node.history.count() <= 2


def test_half_the_cores_become_cpu_slots_unless_a_setting_says_otherwise(monkeypatch, settings):
    machine(monkeypatch)
    target = probes.local_target_ensure()
    assert slots_of(target) == [("cpu", index) for index in range(4)]
    settings.ENV = dataclasses.replace(settings.ENV, local_cpu_slots=1)
    probes.target_refresh(target)
    assert slots_of(target) == [("cpu", 0)]


def test_gpus_become_slots_and_disappear_with_the_card(monkeypatch):
    machine(monkeypatch, cpu_cores=2, gpus=[GPU])
    target = probes.local_target_ensure()
    slot = Slot.objects.get(kind="gpu")
    assert (slot.uuid, slot.model, slot.memory_mb) == ("GPU-1", "H200", 143_771)
    assert target_gpus_per_node(target) == (1,)
    machine(monkeypatch, cpu_cores=2, gpus=[{**GPU, "uuid": "GPU-2"}])
    probes.target_refresh(target)
    assert Slot.objects.get(kind="gpu").uuid == "GPU-2"
    machine(monkeypatch, cpu_cores=2)
    probes.target_refresh(target)
    assert slots_of(target) == [("cpu", 0)]


def test_a_slot_that_somebody_holds_stays_until_it_is_free(monkeypatch):
    machine(monkeypatch, gpus=[GPU])
    target = probes.local_target_ensure()
    Lease.objects.create(slot=Slot.objects.get(kind="gpu"), holder="run-1")
    machine(monkeypatch)
    probes.target_refresh(target)
    assert ("gpu", 0) in slots_of(target)
    Lease.objects.all().delete()
    probes.target_refresh(target)
    assert ("gpu", 0) not in slots_of(target)


def test_a_target_that_does_not_answer_keeps_its_nodes_marked(monkeypatch):
    target = probes.local_target_ensure()

    def away(self):
        raise TargetUnreachable("No route to host")

    monkeypatch.setattr(LocalBackend, "probe", away)
    with pytest.raises(TargetUnreachable):
        probes.target_refresh(target)
    node = Node.objects.get()
    assert (node.state, node.state_reason) == (NodeState.UNREACHABLE, "No route to host")
    monkeypatch.undo()
    probes.target_refresh(target)
    assert Node.objects.get().state == NodeState.HEALTHY


def test_an_unknown_kind_of_target_is_named():
    with pytest.raises(LookupError, match="'moon'"):
        backend_of(ComputeTarget(name="far", kind="moon"))


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000"}, 1),
        ({"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}, 8),
    ],
)
def test_the_quota_of_a_container_bounds_the_cores(monkeypatch, tmp_path, files, cores):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(facts, "_cgroup_folders", lambda controller: [tmp_path])
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    assert facts.cpu_cores() == cores


def test_the_memory_limit_of_a_container_counts(monkeypatch, tmp_path):
    (tmp_path / "memory.max").write_text(str(512 * 2**20))
    monkeypatch.setattr(facts, "_cgroup_folders", lambda controller: [tmp_path])
    assert facts.memory_mb() == 512
    (tmp_path / "memory.max").write_text("max")
    assert facts.memory_mb() > 512
