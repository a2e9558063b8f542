"""The states of a run, the ways between them, and the reasons for which a run ends.

``SUBMITTED -> PREPARING -> WAITING -> STARTING -> RUNNING -> STOPPING -> COMPLETED | FAILED | ERRORED | CANCELLED``.
Every active state may go to STOPPING with an EndReason; from STOPPING the final state follows from the reason alone.
"""

from django.db.models import TextChoices


class RunState(TextChoices):
    SUBMITTED = "submitted", "Submitted"
    PREPARING = "preparing", "Preparing"
    WAITING = "waiting", "Waiting"
    STARTING = "starting", "Starting"
    RUNNING = "running", "Running"
    STOPPING = "stopping", "Stopping"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"
    ERRORED = "errored", "Errored"
    CANCELLED = "cancelled", "Cancelled"


ACTIVE = (
    RunState.SUBMITTED,
    RunState.PREPARING,
    RunState.WAITING,
    RunState.STARTING,
    RunState.RUNNING,
    RunState.STOPPING,
)
FINAL = (RunState.COMPLETED, RunState.FAILED, RunState.ERRORED, RunState.CANCELLED)

#: From a state to those it may become.
TRANSITIONS: dict[str, tuple[str, ...]] = {
    RunState.SUBMITTED: (RunState.PREPARING, RunState.STOPPING),
    RunState.PREPARING: (RunState.WAITING, RunState.STOPPING),
    RunState.WAITING: (RunState.STARTING, RunState.STOPPING),
    RunState.STARTING: (RunState.RUNNING, RunState.STOPPING),
    RunState.RUNNING: (RunState.STOPPING,),
    RunState.STOPPING: FINAL,
    **dict.fromkeys(FINAL, ()),
}


class EndReason(TextChoices):
    """Why a run leaves for STOPPING. The label is the sentence's beginning on the run page."""

    SUCCEEDED = "succeeded", "The script ended well"
    SCRIPT_FAILED = "script_failed", "The script failed"
    KILLED = "killed", "The script was killed by a signal"
    GPU_NOT_SEEN = "gpu_not_seen", "TensorFlow sees no GPU"
    OUT_OF_MEMORY = "out_of_memory", "The machine ran out of memory"
    ENVIRONMENT_FAILED = "environment_failed", "The environment could not be built"
    TIME_LIMIT = "time_limit", "The run reached its time limit"
    CANCELLED = "cancelled", "The run was cancelled"
    PREPARING_TIMEOUT = "preparing_timeout", "The environment was not ready in time"
    STARTING_TIMEOUT = "starting_timeout", "The run did not start in time"
    STOPPING_TIMEOUT = "stopping_timeout", "The run could not be stopped in time"
    LAUNCH_FAILED = "launch_failed", "The run could not be launched"
    PORT_TAKEN = "port_taken", "A task's port was taken"
    TASK_LOST = "task_lost", "A task disappeared without a word"
    PLATFORM_ERROR = "platform_error", "The platform made a mistake"


class Again(TextChoices):
    """How a run repeats another one: the same source, script and parameters in any case."""

    EXACTLY = "exactly", "Exactly the same packages"
    UPDATED = "updated", "Updated packages"


FINAL_STATE: dict[str, str] = {
    EndReason.SUCCEEDED: RunState.COMPLETED,
    EndReason.SCRIPT_FAILED: RunState.FAILED,
    EndReason.KILLED: RunState.FAILED,
    EndReason.GPU_NOT_SEEN: RunState.FAILED,
    EndReason.OUT_OF_MEMORY: RunState.FAILED,
    EndReason.ENVIRONMENT_FAILED: RunState.FAILED,
    EndReason.TIME_LIMIT: RunState.FAILED,
    EndReason.CANCELLED: RunState.CANCELLED,
    EndReason.PREPARING_TIMEOUT: RunState.FAILED,
    EndReason.STARTING_TIMEOUT: RunState.ERRORED,
    EndReason.STOPPING_TIMEOUT: RunState.ERRORED,
    EndReason.LAUNCH_FAILED: RunState.ERRORED,
    EndReason.PORT_TAKEN: RunState.ERRORED,
    EndReason.TASK_LOST: RunState.ERRORED,
    EndReason.PLATFORM_ERROR: RunState.ERRORED,
}


class TaskState(TextChoices):
    """Where one process of a run stands."""

    PENDING = "pending", "Pending"
    STARTING = "starting", "Starting"
    RUNNING = "running", "Running"
    EXITED = "exited", "Exited"
    LOST = "lost", "Lost"


TASK_ENDED = (TaskState.EXITED, TaskState.LOST)


class EnvironmentState(TextChoices):
    """Where an environment's realisation stands. EVICTED: it was built, and its files were removed to make room.
    UNCHANGED: an update for which nothing was built, because it came to the same versions."""

    REQUESTED = "requested", "Requested"
    BUILDING = "building", "Building"
    READY = "ready", "Ready"
    FAILED = "failed", "Failed"
    EVICTED = "evicted", "Evicted"
    UNCHANGED = "unchanged", "Unchanged"


class StreamKind(TextChoices):
    """What the bytes of a stream are."""

    LOG = "log", "Log"
    POINTS = "points", "Points"


class SeriesKind(TextChoices):
    METRIC = "metric", "Metric"
    SYSTEM = "system", "System"


class ArtifactPlace(TextChoices):
    """Where a file of a run lies: still in its task's folder, or kept by the server."""

    TASK = "task", "Task folder"
    STORE = "store", "Store"
