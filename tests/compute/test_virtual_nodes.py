"""The local target's nodes follow its configuration, and never from under a run."""

import dataclasses

import pytest

from compute import probes
from compute.backends.local import facts
from compute.errors import LeaseLost, TargetMisconfigured
from compute.leases import inventory_of, leases_free, leases_take
from compute.models import ComputeTarget, Lease, Node, NodeState, Slot
from compute.placement import place
from compute.plan import NoCapacity, Placement, ResourceRequest, TaskRequest
from compute.registry import target_gpus_are_simulated, target_gpus_per_node, target_slots

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch):
    """A machine of eight cores without a GPU."""
    found = {**facts.local_facts(), "cpu_cores": 8, "gpus": []}
    monkeypatch.setattr("compute.backends.local.backend.local_facts", lambda: found)


@pytest.fixture
def target():
    return probes.local_target_ensure()


def configure(target: ComputeTarget, **config: int) -> None:
    target.config = config
    target.save(update_fields=["config"])
    probes.target_refresh(target)


def names(target: ComputeTarget) -> list[str]:
    return list(Node.objects.filter(target=target).order_by("name").values_list("name", flat=True))


def wish(*, nodes: int = 1, tasks: int = 1, gpus: int = 0) -> ResourceRequest:
    return ResourceRequest(
        tasks=tuple(TaskRequest(role="worker", index=index, gpus=gpus) for index in range(tasks)), node_count=nodes
    )


def take(target: ComputeTarget, request: ResourceRequest, *, holder: str) -> Placement:
    placement = place(request, inventory_of(target))
    assert isinstance(placement, Placement)
    leases_take(placement, holder=holder, label=f"{holder} #1")
    return placement


def test_the_settings_lay_the_target_out_at_the_first_start_and_the_admin_afterwards(settings):
    settings.ENV = dataclasses.replace(settings.ENV, local_nodes=2, local_simulated_gpus=1)
    target = probes.local_target_ensure()
    assert names(target) == ["local-1", "local-2"]
    assert target_gpus_per_node(target) == (1, 1)
    configure(target, virtual_nodes=3)
    again = probes.local_target_ensure()
    assert (again.config, names(again)) == ({"virtual_nodes": 3}, ["local-1", "local-2", "local-3"])


def test_one_node_becomes_the_first_of_several_and_back(target):
    first = Node.objects.get(target=target)
    configure(target, virtual_nodes=2)
    assert names(target) == ["local-1", "local-2"]
    assert Node.objects.get(name="local-1").pk == first.pk
    configure(target, virtual_nodes=1)
    assert names(target) == ["local"]
    assert Node.objects.get().pk == first.pk
    assert target_slots(target)["cpu"] == (4, 4)


def test_cpu_slots_are_divided_among_the_nodes(target):
    configure(target, virtual_nodes=3)
    counts = [node.slots.count() for node in Node.objects.filter(target=target).order_by("name")]
    assert counts == [2, 1, 1]


def test_simulated_gpus_are_slots_that_say_so(target):
    assert not target_gpus_are_simulated(target)
    configure(target, virtual_nodes=2, simulated_gpus=1)
    assert target_gpus_are_simulated(target)
    assert target_slots(target)["gpu"] == (2, 2)
    placement = take(target, wish(nodes=2, tasks=2, gpus=1), holder="mpi")
    assert [(found.node, found.simulated, found.gpu_indexes) for found in placement.assignments] == [
        ("local-1", True, ()),
        ("local-2", True, ()),
    ]
    assert {found.address for found in placement.assignments} == {"127.0.0.1"}


def test_a_card_that_is_put_in_takes_the_place_of_the_simulated_gpus(target, monkeypatch):
    configure(target, simulated_gpus=2)
    card = {"index": 0, "uuid": "GPU-1", "model": "H200", "memory_mb": 143_771}
    found = {**facts.local_facts(), "gpus": [card]}
    monkeypatch.setattr("compute.backends.local.backend.local_facts", lambda: found)
    probes.target_refresh(target)
    assert list(Slot.objects.filter(kind="gpu").values_list("uuid", "is_simulated")) == [("GPU-1", False)]
    assert not target_gpus_are_simulated(target)


def test_a_node_that_a_run_holds_takes_nothing_new_and_goes_with_the_run(target):
    configure(target, virtual_nodes=2)
    take(target, wish(nodes=2, tasks=2), holder="long")
    configure(target, virtual_nodes=1)
    assert names(target) == ["local", "local-2"]
    assert Node.objects.get(name="local-2").state == NodeState.LEAVING
    assert [node.name for node in inventory_of(target).nodes] == ["local"]
    assert target_gpus_per_node(target) == (0,)
    assert target_slots(target)["cpu"] == (3, 4)
    assert leases_free("long") == 2
    assert names(target) == ["local"]
    assert Node.history.filter(name="local-2", history_type="-").exists()


def test_a_node_with_a_server_alone_stays_until_the_run_has_ended(target):
    configure(target, virtual_nodes=2)
    tasks = (TaskRequest(role="worker", index=0), TaskRequest(role="ps", index=0, slots=0))
    placement = take(target, ResourceRequest(tasks=tasks, node_count=2), holder="ps run")
    server_on = next(found.node_id for found in placement.assignments if found.task == "ps-0")
    configure(target, virtual_nodes=1)
    configure(target, virtual_nodes=1)
    assert Node.objects.filter(pk=server_on).exists()
    assert len(names(target)) == 2
    leases_free("ps run")
    assert names(target) == ["local"]


def test_a_server_is_not_placed_on_a_node_that_is_leaving_meanwhile(target):
    configure(target, virtual_nodes=2)
    tasks = (TaskRequest(role="worker", index=0), TaskRequest(role="ps", index=0, slots=0))
    placement = place(ResourceRequest(tasks=tasks, node_count=2), inventory_of(target))
    server_on = next(found.node_id for found in placement.assignments if found.task == "ps-0")
    Node.objects.filter(pk=server_on).update(state=NodeState.LEAVING)
    with pytest.raises(LeaseLost, match="no longer part of its target"):
        leases_take(placement, holder="ps run", label="ps run #1")
    assert not Lease.objects.exists()


def test_a_slot_that_moved_to_another_node_is_not_given_out_again_when_it_is_free(target):
    take(target, wish(tasks=4), holder="wide")
    configure(target, virtual_nodes=2)
    (here,) = [node for node in inventory_of(target).nodes if node.name == "local-1"]
    assert len(here.slots) == 2
    assert all(slot.busy_with == "wide #1" for slot in here.slots)
    leases_free("wide")
    assert Slot.objects.filter(node__name="local-1").count() == 2


def test_a_node_that_was_leaving_stays_when_it_is_wanted_again(target):
    configure(target, virtual_nodes=2)
    take(target, wish(nodes=2, tasks=2), holder="long")
    second = Node.objects.get(name="local-2")
    configure(target, virtual_nodes=1)
    configure(target, virtual_nodes=2)
    second.refresh_from_db()
    assert (second.state, second.state_reason) == (NodeState.HEALTHY, "")
    leases_free("long")
    assert target_slots(target)["cpu"] == (4, 4)


def test_a_placement_on_a_slot_that_is_leaving_meanwhile_is_refused(target):
    configure(target, virtual_nodes=2)
    placement = place(wish(nodes=2, tasks=2), inventory_of(target))
    take(target, wish(tasks=2), holder="other")
    held = Lease.objects.values_list("slot__node__name", flat=True)
    assert set(held) == {"local-1"}
    take(target, wish(), holder="second")
    Slot.objects.filter(node__name="local-2", lease__isnull=True).update(is_leaving=True)
    with pytest.raises(LeaseLost):
        leases_take(placement, holder="late", label="late #1")


def test_what_no_node_will_ever_have_again_is_never(target):
    configure(target, virtual_nodes=2)
    take(target, wish(nodes=2, tasks=2), holder="long")
    configure(target, virtual_nodes=1)
    answer = place(wish(nodes=2, tasks=2), inventory_of(target))
    assert isinstance(answer, NoCapacity)
    assert answer.never


def test_a_configuration_that_cannot_be_used_leaves_the_nodes_as_they_are(target):
    before = list(Node.objects.values_list("name", "state"))
    ComputeTarget.objects.update(config={"virtual_nodes": 0})
    with pytest.raises(TargetMisconfigured, match="virtual_nodes is 0"):
        probes.local_target_ensure()
    assert list(Node.objects.values_list("name", "state")) == before


def test_every_node_says_which_ports_its_tasks_choose_from(target, settings):
    settings.ENV = dataclasses.replace(settings.ENV, local_ports="21000-21999")
    assert Node.objects.get().ports == (20000, 27999)
    configure(target, virtual_nodes=2)
    assert {node.ports for node in Node.objects.all()} == {(21000, 21999)}
