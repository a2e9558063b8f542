"""Slots are taken together, held by one, and given back by their holder."""

import pytest
from django.db import connection

from compute.errors import LeaseLost
from compute.leases import inventory_of, leases_free, leases_take
from compute.models import Lease, Node, NodeState
from compute.placement import place
from compute.plan import Placement, ResourceRequest, TaskRequest
from tests.factories import make_target

pytestmark = pytest.mark.django_db


def placed(target, *gpus: int) -> Placement:
    tasks = tuple(TaskRequest(role="worker", index=index, gpus=count) for index, count in enumerate(gpus))
    answer = place(ResourceRequest(tasks=tasks), inventory_of(target))
    assert isinstance(answer, Placement), answer
    return answer


def test_what_is_taken_is_busy_for_others_with_its_label():
    target = make_target(cpu_slots=2, gpus=2)
    assert leases_take(placed(target, 2), holder="run-1", label="digits #3") == 2
    (node,) = inventory_of(target).nodes
    assert {(slot.kind, slot.index): slot.busy_with for slot in node.slots} == {
        ("cpu", 0): None,
        ("cpu", 1): None,
        ("gpu", 0): "digits #3",
        ("gpu", 1): "digits #3",
    }


def test_taking_again_for_the_same_holder_changes_nothing():
    target = make_target(cpu_slots=2)
    placement = placed(target, 0, 0)
    leases_take(placement, holder="run-1", label="digits #3")
    assert leases_take(placement, holder="run-1", label="digits #3") == 2
    assert Lease.objects.count() == 2


def test_who_comes_second_takes_nothing_at_all():
    target = make_target(cpu_slots=2)
    both = placed(target, 0, 0)
    one = placed(target, 0)
    leases_take(one, holder="run-1", label="first")
    with pytest.raises(LeaseLost, match="1 of 2 slots"):
        leases_take(both, holder="run-2", label="second")
    assert list(Lease.objects.values_list("holder", flat=True)) == ["run-1"]


@pytest.mark.django_db(transaction=True)
def test_a_slot_that_is_gone_is_a_lost_lease():
    target = make_target(cpu_slots=1)
    placement = placed(target, 0)
    Node.objects.get(target=target).slots.all().delete()
    with pytest.raises(LeaseLost):
        leases_take(placement, holder="run-1", label="late")
    assert not Lease.objects.exists()


def test_giving_back_frees_the_slots_of_that_holder_alone():
    target = make_target(cpu_slots=2)
    leases_take(placed(target, 0), holder="run-1", label="a")
    leases_take(placed(target, 0), holder="run-2", label="b")
    assert leases_free("run-1") == 1
    assert leases_free("run-1") == 0
    assert list(Lease.objects.values_list("holder", flat=True)) == ["run-2"]


def test_closed_targets_and_nodes_say_why():
    target = make_target()
    node = Node.objects.get(target=target)
    assert inventory_of(target).closed is None
    Node.objects.update(is_open=False)
    assert inventory_of(target).nodes[0].closed == "an administrator has closed it for new tasks"
    Node.objects.update(is_open=True, state=NodeState.UNREACHABLE, state_reason="No route to host.")
    assert inventory_of(target).nodes[0].closed == "it does not answer (No route to host)"
    target.is_open = False
    assert inventory_of(target).closed == "an administrator has closed it for new runs"
    assert str(node).endswith("/node")


def test_an_inventory_costs_the_same_few_queries_whatever_its_size(django_assert_max_num_queries):
    target = make_target(cpu_slots=20, gpus=8)
    with django_assert_max_num_queries(3, connection=connection):
        inventory_of(target)
