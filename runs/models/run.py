"""Experiments, runs, attempts, tasks and events."""

from django.conf import settings
from django.db import models
from django.urls import reverse

from compute.plan import GPU_NOT_SEEN_CODE, Handle
from runs.models.code import Snapshot
from runs.models.environment import Environment
from runs.spec import Definition, RunSpec
from runs.states import ACTIVE, FINAL, Again, EndReason, RunState, TaskState


class Experiment(models.Model):
    """Runs that belong together. Names are unique for each owner."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="experiments")
    name = models.CharField(max_length=80)
    description = models.TextField(blank=True)
    run_counter = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="experiment_once_an_owner")]

    def __str__(self) -> str:
        return self.name


class Run(models.Model):
    """One submission and what became of it. ``state`` is written by ``runs.lifecycle`` alone."""

    experiment = models.ForeignKey(Experiment, on_delete=models.PROTECT, related_name="runs")
    number = models.PositiveIntegerField()
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="runs")
    name = models.CharField(max_length=200, blank=True)
    tags = models.JSONField(default=list, blank=True)
    notes = models.TextField(blank=True)

    spec_json = models.JSONField("spec")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, related_name="runs")
    target = models.ForeignKey("compute.ComputeTarget", on_delete=models.PROTECT, related_name="runs")
    environment = models.ForeignKey(Environment, null=True, on_delete=models.SET_NULL, related_name="runs")
    lock = models.TextField(blank=True, help_text="The packages as they were installed for this run.")
    definition_json = models.JSONField(
        "named environment", null=True, help_text="The version that the run names, as it was then."
    )
    environment_spec = models.JSONField(
        null=True, help_text="What decided the environment; kept here because the environment may be deleted."
    )
    again = models.CharField(
        max_length=10, blank=True, choices=Again.choices, help_text="How the packages of cloned_from are taken over."
    )
    cloned_from = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="clones")
    submission_key = models.CharField(max_length=64, unique=True)

    state = models.CharField(max_length=20, choices=RunState.choices, default=RunState.SUBMITTED)
    state_since = models.DateTimeField()
    due_at = models.DateTimeField(null=True, help_text="When the supervisor should look at this run again.")
    deadline_at = models.DateTimeField(null=True, help_text="When the present state has lasted too long.")
    end_reason = models.CharField(max_length=30, choices=EndReason.choices, blank=True)
    end_message = models.TextField(blank=True)
    cancel_requested_at = models.DateTimeField(null=True)
    waiting_for = models.JSONField(default=list, help_text="Why the run waits, as sentences.")
    fault_count = models.PositiveIntegerField(default=0, help_text="Faults of the platform in a row, in this state.")
    sealed_variables = models.TextField(blank=True, help_text="Values of secret-looking variables, encrypted.")
    launch_request = models.JSONField(null=True)
    progress = models.JSONField(default=dict, help_text="Epoch, epochs, batch, batches, eta_s: what the script told.")

    submitted_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["experiment", "number"], name="run_number_once_an_experiment"),
            models.CheckConstraint(condition=models.Q(state__in=RunState.values), name="run_state_is_known"),
        ]
        indexes = [
            models.Index(fields=["owner", "-id"], name="run_by_owner"),
            models.Index(fields=["state", "due_at"], name="run_by_due"),
        ]

    def __str__(self) -> str:
        return f"{self.experiment.name} #{self.number}"

    def get_absolute_url(self) -> str:
        return reverse("run", args=[self.pk])

    @property
    def spec(self) -> RunSpec:
        return RunSpec.from_json(self.spec_json)

    @property
    def definition(self) -> Definition | None:
        """The version of a named environment that the run was submitted with."""
        return Definition.from_json(self.definition_json) if self.definition_json else None

    @property
    def effective_spec(self) -> RunSpec:
        """The spec with the content of its named environment in place."""
        definition = self.definition
        return self.spec if definition is None else definition.applied(self.spec)

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    @property
    def title(self) -> str:
        return self.name or f"{self.experiment.name} #{self.number}"


class Attempt(models.Model):
    """One try of a run."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField(default=1)
    started_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["run", "number"]
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="attempt_once_a_run")]

    def __str__(self) -> str:
        return f"{self.run} attempt {self.number}"

    @property
    def lease_holder(self) -> str:
        """The name under which this attempt holds its slots."""
        return f"attempt-{self.pk}"


class Task(models.Model):
    """One process of an attempt, with its place, its handle and its end."""

    attempt = models.ForeignKey(Attempt, on_delete=models.CASCADE, related_name="tasks")
    role = models.CharField(max_length=20)
    index = models.PositiveIntegerField(default=0)
    ends_run = models.BooleanField(default=True)
    node = models.ForeignKey("compute.Node", null=True, on_delete=models.SET_NULL)
    node_name = models.CharField(max_length=80, blank=True)
    slots = models.JSONField(default=list)
    state = models.CharField(max_length=20, choices=TaskState.choices, default=TaskState.PENDING)
    handle = models.JSONField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    exit_code = models.IntegerField(null=True)
    exit_signal = models.IntegerField(null=True)
    out_of_memory = models.BooleanField(default=False)
    max_rss_bytes = models.PositiveBigIntegerField(null=True)
    is_drained = models.BooleanField(default=False, help_text="Every stream of the task is here to its end.")
    meets = models.BooleanField(default=False, help_text="Starts when it and all like it of the attempt have met.")
    meeting = models.JSONField(null=True, help_text="Where the others reach it: address and port, or port null.")
    port_taken = models.BooleanField(default=False, help_text="Somebody else had its port when its script ended.")

    class Meta:
        ordering = ["attempt", "id"]
        constraints = [models.UniqueConstraint(fields=["attempt", "role", "index"], name="task_once_an_attempt")]

    def __str__(self) -> str:
        return f"{self.role} {self.index}"

    @property
    def key(self) -> str:
        """The name of this task on its backend, for ever."""
        return f"task-{self.pk}"

    @property
    def member(self) -> str:
        """Its name among the tasks of the run, such as ``worker-0``."""
        return f"{self.role}-{self.index}"

    @property
    def saw_no_gpu(self) -> bool:
        """Whether TensorFlow saw none of the GPUs that the task had, for which reason its script was not started."""
        return self.exit_code == GPU_NOT_SEEN_CODE and any("gpu" in slot for slot in self.slots)

    @property
    def backend_handle(self) -> Handle:
        """How its backend finds this task. One whose launch was cut short is found by its key alone."""
        return Handle(**self.handle) if self.handle else Handle(key=self.key, node=self.node_name, native={})


class RunEvent(models.Model):
    """Something that happened to a run, in words. Written with the change it tells of, never edited."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(auto_now_add=True)
    kind = models.CharField(max_length=30)
    message = models.TextField()
    data = models.JSONField(default=dict, blank=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.message
