"""The admin's pages of machines: seen, closed and opened, looked at again; nothing invented by hand."""

import html

import pytest
from django.urls import reverse

from compute.leases import inventory_of, leases_take
from compute.models import ComputeTarget, Lease, Node, Slot
from compute.placement import place
from compute.plan import ResourceRequest, TaskRequest
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


def configured(page, target: ComputeTarget, **fields) -> str:
    """What the target's page says after these fields are saved."""
    inline = {"nodes-TOTAL_FORMS": "0", "nodes-INITIAL_FORMS": "0"}
    data = {"name": target.name, "description": "", "is_open": "on", **inline, **fields}
    address = reverse("admin:compute_computetarget_change", args=(target.pk,))
    return html.unescape(page.post(address, data, follow=True).content.decode())


def test_a_local_target_is_laid_out_as_its_form_says(page):
    target = ComputeTarget.objects.create(name="local")
    text = configured(page, target, virtual_nodes="2", simulated_gpus="1")
    assert "local: nodes 2, simulated GPUs 2, CPU slots" in text
    target.refresh_from_db()
    assert target.config == {"virtual_nodes": 2, "simulated_gpus": 1}
    assert list(target.nodes.values_list("name", flat=True)) == ["local-1", "local-2"]
    listing = page.get(reverse("admin:compute_computetarget_changelist")).content.decode()
    assert "2 (simulated)" in listing
    node_page = page.get(reverse("admin:compute_node_change", args=(target.nodes.first().pk,))).content.decode()
    assert "Simulated GPU" in node_page


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"virtual_nodes": "-1"}, "virtual_nodes is -1; it must be a whole number from 1 to 64."),
        ({"virtual_nodes": "99999999999999999999"}, "virtual_nodes is 99999999999999999999; it must be a whole"),
        ({"virtual_nodes": ""}, "Write a whole number from 1 to 64."),
        ({"simulated_gpus": "65"}, "simulated_gpus is 65; it must be a whole number from 0 to 64."),
        ({"simulated_gpus": "many"}, "Enter a whole number."),
    ],
)
def test_a_layout_that_cannot_be_is_refused_with_a_sentence(page, fields, sentence):
    target = ComputeTarget.objects.create(name="local")
    assert sentence in configured(page, target, **{"virtual_nodes": "1", "simulated_gpus": "0", **fields})
    target.refresh_from_db()
    assert target.config == {}
    assert not target.nodes.exists()


def test_fewer_nodes_say_what_is_still_held(page):
    target = ComputeTarget.objects.create(name="local")
    configured(page, target, virtual_nodes="2", simulated_gpus="1")
    for slot in Slot.objects.filter(kind="gpu"):
        Lease.objects.create(slot=slot, holder="attempt-7", label="digits #3")
    text = configured(page, target, virtual_nodes="1", simulated_gpus="1")
    assert "local: 1 slot still held; they go when their runs have ended." in text
    assert "Leaving" in page.get(reverse("admin:compute_node_changelist")).content.decode()
    leaving = target.nodes.get(name="local-2")
    assert "digits #3; leaving" in page.get(reverse("admin:compute_node_change", args=(leaving.pk,))).content.decode()


@pytest.mark.parametrize("one_by_one", [True, False])
def test_leases_deleted_by_hand_let_a_leaving_node_go(page, one_by_one):
    target = ComputeTarget.objects.create(name="local")
    configured(page, target, virtual_nodes="2", simulated_gpus="2")
    tasks = tuple(TaskRequest(role="worker", index=index, gpus=1) for index in range(4))
    placement = place(ResourceRequest(tasks=tasks, node_count=2), inventory_of(target))
    leases_take(placement, holder="attempt-7", label="digits #3")
    configured(page, target, virtual_nodes="1", simulated_gpus="2")
    assert target.nodes.count() == 2
    if one_by_one:
        for lease in Lease.objects.all():
            page.post(reverse("admin:compute_lease_delete", args=(lease.pk,)), {"post": "yes"})
    else:
        address = reverse("admin:compute_lease_changelist")
        rows = [lease.pk for lease in Lease.objects.all()]
        page.post(address, {"action": "delete_selected", "_selected_action": rows, "post": "yes"})
    assert not Lease.objects.exists()
    assert [node.name for node in target.nodes.all()] == ["local"]


def test_the_form_shows_what_is_configured_and_heals_what_cannot_be_used(page):
    target = ComputeTarget.objects.create(name="local", config={"virtual_nodes": 0, "colour": "red"})
    shown = page.get(reverse("admin:compute_computetarget_change", args=(target.pk,))).content.decode()
    assert 'name="virtual_nodes" value="0"' in shown
    assert "was not looked at: virtual_nodes is 0" in act(page, "computetarget", "facts_refresh", target)
    configured(page, target, virtual_nodes="1", simulated_gpus="0")
    target.refresh_from_db()
    assert target.config == {"virtual_nodes": 1, "simulated_gpus": 0}


def test_facts_cannot_be_typed_in(page):
    node = Node.objects.get(target=make_target())
    page.post(reverse("admin:compute_node_change", args=(node.pk,)), {"cpu_cores": 99, "is_open": "on", "name": "x"})
    assert Node.objects.get().cpu_cores == 1
    assert page.get(reverse("admin:compute_node_add")).status_code == 403
    assert page.get(reverse("admin:compute_lease_add")).status_code == 403


def test_members_do_not_get_in(client, member):
    client.force_login(member)
    assert client.get(reverse("admin:compute_computetarget_changelist")).status_code == 302
