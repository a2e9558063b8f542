"""Machines in the database: targets, their nodes, the slots of a node, and who holds a slot."""

from django.db import models
from simple_history.models import HistoricalRecords


class TargetKind(models.TextChoices):
    LOCAL = "local", "This machine"


class NodeState(models.TextChoices):
    HEALTHY = "healthy", "Healthy"
    DEGRADED = "degraded", "Degraded"
    UNREACHABLE = "unreachable", "Unreachable"
    LEAVING = "leaving", "Leaving"


#: Where tasks that meet each other listen, on a node whose target says nothing else.
USUAL_PORTS = (20000, 27999)


class ComputeTarget(models.Model):
    """Where runs go: one machine or several that belong together."""

    name = models.SlugField(max_length=60, unique=True)
    kind = models.CharField(max_length=20, choices=TargetKind.choices, default=TargetKind.LOCAL)
    description = models.CharField(max_length=200, blank=True)
    config = models.JSONField(default=dict, blank=True)
    is_open = models.BooleanField("takes new runs", default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    history = HistoricalRecords()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Node(models.Model):
    """One machine of a target, or a share of one. ``facts`` is what the last probe found. A LEAVING node is no longer
    part of its target: it takes nothing new, and goes when nobody is on it any more."""

    target = models.ForeignKey(ComputeTarget, on_delete=models.CASCADE, related_name="nodes")
    name = models.CharField(max_length=80)
    address = models.CharField(max_length=200, default="127.0.0.1")
    cpu_cores = models.PositiveIntegerField(default=1)
    memory_mb = models.PositiveIntegerField(default=0)
    facts = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=20, choices=NodeState.choices, default=NodeState.HEALTHY)
    state_reason = models.CharField(max_length=300, blank=True)
    is_open = models.BooleanField("takes new tasks", default=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    history = HistoricalRecords(excluded_fields=["facts", "last_seen_at"])

    class Meta:
        ordering = ["target", "name"]
        constraints = [models.UniqueConstraint(fields=["target", "name"], name="node_name_once_a_target")]

    def __str__(self) -> str:
        return f"{self.target}/{self.name}"

    @property
    def ports(self) -> tuple[int, int]:
        """The ports from which tasks on this node choose where they listen: the first and the last."""
        first, last = self.facts.get("ports", USUAL_PORTS)
        return first, last


class Slot(models.Model):
    """One GPU, or a share of the CPU cores: what a task holds while it runs.

    A simulated one stands for a GPU that is not there: what holds it trains on the CPU. A leaving one is gone from its
    node, and is kept until its holder gives it back.
    """

    class Kind(models.TextChoices):
        GPU = "gpu", "GPU"
        CPU = "cpu", "CPU"

    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="slots")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    index = models.PositiveIntegerField()
    uuid = models.CharField("GPU UUID", max_length=80, blank=True)
    model = models.CharField(max_length=120, blank=True)
    memory_mb = models.PositiveIntegerField(default=0)
    is_simulated = models.BooleanField("simulated", default=False)
    is_leaving = models.BooleanField("leaving", default=False)

    class Meta:
        ordering = ["node", "kind", "index"]
        constraints = [models.UniqueConstraint(fields=["node", "kind", "index"], name="slot_once_a_node")]

    def __str__(self) -> str:
        return f"{self.node} {self.kind} {self.index}"


class Lease(models.Model):
    """A hold on one slot. ``holder`` is opaque here; freeing deletes the row."""

    slot = models.OneToOneField(Slot, on_delete=models.PROTECT, related_name="lease")
    holder = models.CharField(max_length=80, db_index=True)
    label = models.CharField(max_length=200, blank=True)
    taken_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.slot} held by {self.holder}"


class Presence(models.Model):
    """A holder's tasks are on a node, with slots of it or without: the node stays until they are gone."""

    node = models.ForeignKey(Node, on_delete=models.PROTECT, related_name="presences")
    holder = models.CharField(max_length=80, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["node", "holder"], name="presence_once_a_node")]

    def __str__(self) -> str:
        return f"{self.holder} on {self.node}"
