"""Targets, nodes, slots and leases for administrators. What a probe writes is read only: facts are found, not typed."""

from __future__ import annotations

import json

from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.html import format_html
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin, TabularInline

from compute.errors import ComputeError
from compute.forms import ComputeTargetForm
from compute.leases import leases_free
from compute.models import ComputeTarget, Lease, Node, Slot
from compute.probes import target_refresh


class _ReadOnlyInline(TabularInline):
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class NodeInline(_ReadOnlyInline):
    model = Node
    fields = readonly_fields = ("name", "cpu_cores", "memory_mb", "state", "is_open", "last_seen_at")


class SlotInline(_ReadOnlyInline):
    model = Slot
    fields = readonly_fields = ("kind_shown", "index", "model", "memory_mb", "held_by")

    @admin.display(description="Kind")
    def kind_shown(self, slot: Slot) -> str:
        return "Simulated GPU" if slot.is_simulated else slot.get_kind_display()

    @admin.display(description="Held by")
    def held_by(self, slot: Slot) -> str:
        lease = Lease.objects.filter(slot=slot).first()
        holder = "free" if lease is None else lease.label or lease.holder
        return f"{holder}; leaving" if slot.is_leaving else holder


@admin.register(ComputeTarget)
class ComputeTargetAdmin(SimpleHistoryAdmin, ModelAdmin):
    """Where runs may go. Closing a target lets what runs there end, and sends nothing new."""

    list_display = ("name", "kind", "is_open", "node_count", "free_gpus", "free_cpu_slots", "description")
    list_filter = ("kind", "is_open")
    search_fields = ("name", "description")
    readonly_fields = ("created_at",)
    form = ComputeTargetForm
    fields = ("name", "kind", "description", "is_open", "virtual_nodes", "simulated_gpus", "created_at")
    inlines = (NodeInline,)
    actions = ("targets_open", "targets_close", "facts_refresh")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ComputeTarget]:
        slots = Q(nodes__slots__is_leaving=False)
        free, gpu = slots & Q(nodes__slots__lease__isnull=True), Q(nodes__slots__kind=Slot.Kind.GPU)
        simulated = slots & gpu & Q(nodes__slots__is_simulated=True)
        return (
            super()
            .get_queryset(request)
            .annotate(
                nodes_found=Count("nodes", distinct=True),
                gpus_free=Count("nodes__slots", filter=free & gpu, distinct=True),
                gpus_simulated=Count("nodes__slots", filter=simulated, distinct=True),
                cpus_free=Count("nodes__slots", filter=free & Q(nodes__slots__kind=Slot.Kind.CPU), distinct=True),
            )
        )

    def get_readonly_fields(self, request: HttpRequest, obj: ComputeTarget | None = None) -> tuple[str, ...]:
        # Handles, environments and leases of a target mean a machine of its kind.
        return self.readonly_fields if obj is None else (*self.readonly_fields, "kind")

    @admin.display(description="Nodes")
    def node_count(self, target: ComputeTarget) -> int:
        return target.nodes_found  # type: ignore[attr-defined]  # annotated by get_queryset

    @admin.display(description="Free GPUs")
    def free_gpus(self, target: ComputeTarget) -> str:
        is_simulated = target.gpus_simulated > 0  # type: ignore[attr-defined]
        return f"{target.gpus_free}{' (simulated)' if is_simulated else ''}"  # type: ignore[attr-defined]

    @admin.display(description="Free CPU slots")
    def free_cpu_slots(self, target: ComputeTarget) -> int:
        return target.cpus_free  # type: ignore[attr-defined]

    @admin.action(description="Open for new runs", permissions=["change"])
    def targets_open(self, request: HttpRequest, targets: QuerySet[ComputeTarget]) -> None:
        _set_open(request, self, targets, is_open=True)

    @admin.action(description="Close for new runs (what runs there goes on)", permissions=["change"])
    def targets_close(self, request: HttpRequest, targets: QuerySet[ComputeTarget]) -> None:
        _set_open(request, self, targets, is_open=False)

    @admin.action(description="Look again at cores, memory and GPUs", permissions=["change"])
    def facts_refresh(self, request: HttpRequest, targets: QuerySet[ComputeTarget]) -> None:
        for target in targets:
            self._refresh(request, target)

    def save_model(self, request: HttpRequest, obj: ComputeTarget, form: ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change or {"virtual_nodes", "simulated_gpus"} & set(form.changed_data):
            self._refresh(request, obj)

    def _refresh(self, request: HttpRequest, target: ComputeTarget) -> None:
        """Looks at the target and says what was found."""
        try:
            nodes = target_refresh(target)
        except ComputeError as error:
            self.message_user(request, f"{target.name} was not looked at: {error}", messages.ERROR)
            return
        slots = Slot.objects.filter(node__in=nodes, is_leaving=False)
        gpus = slots.filter(kind=Slot.Kind.GPU)
        kind = "simulated GPUs" if gpus.filter(is_simulated=True).exists() else "GPUs"
        found = f"nodes {len(nodes)}, {kind} {len(gpus)}, CPU slots {slots.count() - len(gpus)}"
        self.message_user(request, f"{target.name}: {found}.", messages.SUCCESS)
        leaving = Slot.objects.filter(node__target=target, is_leaving=True).count()
        if leaving:
            slots_stay = f"{leaving} slot{'' if leaving == 1 else 's'} still held; they go when their runs have ended"
            self.message_user(request, f"{target.name}: {slots_stay}.", messages.WARNING)
        if kind == "GPUs" and gpus and target.config.get("simulated_gpus"):
            self.message_user(
                request, f"{target.name} has GPUs of its own, therefore none is simulated.", messages.WARNING
            )


@admin.register(Node)
class NodeAdmin(SimpleHistoryAdmin, ModelAdmin):
    """One machine. Closing it (a cordon) lets what runs there end, and sends nothing new."""

    list_display = ("name", "target", "state", "is_open", "cpu_cores", "memory_mb", "last_seen_at")
    list_filter = ("target", "state", "is_open")
    search_fields = ("name", "address")
    fields = (
        *("target", "name", "address", "is_open", "state", "state_reason"),
        *("cpu_cores", "memory_mb", "last_seen_at", "facts_shown"),
    )
    readonly_fields = tuple(name for name in fields if name != "is_open")
    inlines = (SlotInline,)
    actions = ("nodes_open", "nodes_close")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.display(description="Facts of the last look")
    def facts_shown(self, node: Node) -> str:
        return format_html("<pre>{}</pre>", json.dumps(node.facts, indent=2, sort_keys=True))

    @admin.action(description="Open for new tasks", permissions=["change"])
    def nodes_open(self, request: HttpRequest, nodes: QuerySet[Node]) -> None:
        _set_open(request, self, nodes, is_open=True)

    @admin.action(description="Close for new tasks (what runs there goes on)", permissions=["change"])
    def nodes_close(self, request: HttpRequest, nodes: QuerySet[Node]) -> None:
        _set_open(request, self, nodes, is_open=False)


@admin.register(Lease)
class LeaseAdmin(ModelAdmin):
    """Who holds what. A lease whose holder is gone for ever may be deleted here; a living run's must not."""

    list_display = ("slot", "label", "holder", "taken_at")
    search_fields = ("label", "holder")
    readonly_fields = ("slot", "label", "holder", "taken_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: Lease) -> None:
        super().delete_model(request, obj)
        _forget({obj.holder})

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Lease]) -> None:
        holders = set(queryset.values_list("holder", flat=True))
        super().delete_queryset(request, queryset)
        _forget(holders)


def _forget(holders: set[str]) -> None:
    """Those who hold nothing any more are on no node either."""
    for holder in holders - set(Lease.objects.filter(holder__in=holders).values_list("holder", flat=True)):
        leases_free(holder)


def _set_open(
    request: HttpRequest, page: ModelAdmin, found: QuerySet[ComputeTarget] | QuerySet[Node], *, is_open: bool
) -> None:
    """Opens or closes, each change with its line in the history."""
    changed: list[ComputeTarget | Node] = list(found.exclude(is_open=is_open))
    for item in changed:
        item.is_open = is_open
        item.save(update_fields=["is_open"])
    names = ", ".join(str(item) for item in changed) or "nothing"
    page.message_user(request, f"{'Opened' if is_open else 'Closed'} {names}.", messages.SUCCESS)
