"""The admin's pages of machines: seen, closed and opened, looked at again; nothing invented by hand."""

import pytest
from django.urls import reverse

from compute.models import ComputeTarget, Lease, Node, Slot
from tests.factories import make_target

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(client, admin):
    client.force_login(admin)
    return client


def act(client, model: str, action: str, *rows) -> str:
    address = reverse(f"admin:compute_{model}_changelist")
    data = {"action": action, "_selected_action": [row.pk for row in rows]}
    return client.post(address, data, follow=True).content.decode()


def test_every_page_opens_with_what_is_held_shown(page):
    target = make_target(cpu_slots=1, gpus=1)
    node = Node.objects.get(target=target)
    Lease.objects.create(slot=Slot.objects.get(kind="gpu"), holder="attempt-7", label="digits #3")
    for name, arguments in (
        ("computetarget_changelist", ()),
        ("computetarget_change", (target.pk,)),
        ("computetarget_history", (target.pk,)),
        ("node_changelist", ()),
        ("node_change", (node.pk,)),
        ("lease_changelist", ()),
    ):
        response = page.get(reverse(f"admin:compute_{name}", args=arguments))
        assert response.status_code == 200, name
    text = page.get(reverse("admin:compute_node_change", args=(node.pk,))).content.decode()
    assert "digits #3" in text


def test_a_target_is_closed_and_opened_with_a_line_in_its_history(page, admin):
    target = make_target()
    assert f"Closed {target.name}." in act(page, "computetarget", "targets_close", target)
    assert not ComputeTarget.objects.get().is_open
    assert target.history.first().history_user == admin
    act(page, "computetarget", "targets_open", target)
    assert ComputeTarget.objects.get().is_open
    assert target.history.count() == 3


def test_a_node_is_cordoned_and_opened_again(page):
    node = Node.objects.get(target=make_target())
    act(page, "node", "nodes_close", node)
    assert not Node.objects.get().is_open
    act(page, "node", "nodes_open", node)
    assert Node.objects.get().is_open


def test_looking_again_finds_this_machine(page):
    target = ComputeTarget.objects.create(name="local")
    assert "local: nodes 1" in act(page, "computetarget", "facts_refresh", target)
    assert Slot.objects.filter(node__target=target).exists()


def test_facts_cannot_be_typed_in(page):
    node = Node.objects.get(target=make_target())
    page.post(reverse("admin:compute_node_change", args=(node.pk,)), {"cpu_cores": 99, "is_open": "on", "name": "x"})
    assert Node.objects.get().cpu_cores == 1
    assert page.get(reverse("admin:compute_node_add")).status_code == 403
    assert page.get(reverse("admin:compute_lease_add")).status_code == 403


def test_members_do_not_get_in(client, member):
    client.force_login(member)
    assert client.get(reverse("admin:compute_computetarget_changelist")).status_code == 302
