"""What a task needs to start, put together from its run: the same every time."""

from django.conf import settings

from compute.plan import ClusterPlan, TaskPlan
from runs.distribution import Role, roles_of
from runs.environments import environment_ref, keras_variables
from runs.errors import UserError
from runs.ingest.tokens import task_token
from runs.models import Run, Task
from runs.sealing import unseal
from runs.snapshots import snapshot_plan
from runs.spec import RunSpec

#: What a task runs that is no script of the person's: TensorFlow's server for a coordinated cluster.
STANDARD_SERVER = ("-m", "trainhouse.tf_server")


def task_plan(run: Run, task: Task) -> TaskPlan:
    """Everything that ``task`` needs to start; the same every time.

    Raises UserError when the run's environment is gone or its secrets cannot be read.
    """
    spec = run.effective_spec
    if run.environment is None:
        raise UserError("The environment was deleted before the run could start in it. Clone the run to build it.")
    environment = environment_ref(run.environment)
    roles = roles_of(spec)
    role = next(role for role in roles if role.key == task.member)
    launched = _launched(task, roles) if role.launches or role.launched else []
    gpu_indexes = _gpu_indexes(task, launched if role.launched else [task])
    azure_id = f"{run.experiment.name}_{run.number}"
    return TaskPlan(
        key=task.key,
        role=task.role,
        index=task.index,
        node=task.node_name,
        argv=(str(environment.python), *(_script(spec) if role.runs_script else STANDARD_SERVER)),
        environ={
            **keras_variables(run.lock, legacy_keras=spec.legacy_keras),
            **(_batch_variables(launched) if spec.node_count > 1 else {}),
            **spec.environment_variables,
            **unseal(run.sealed_variables),
            "AZUREML_RUN_ID": azure_id,
            "TRAINHOUSE_RUN_ID": str(run.pk),
            "TRAINHOUSE_RUN_NAME": run.title,
            "TRAINHOUSE_RUN_NUMBER": str(run.number),
            "TRAINHOUSE_EXPERIMENT": run.experiment.name,
            "TRAINHOUSE_URL": settings.PUBLIC_URL,
        },
        environment=environment,
        snapshot=snapshot_plan(run.snapshot),
        token=task_token(task.pk),
        server_url=settings.TASK_SERVER_URL,
        gpu_indexes=gpu_indexes,
        labels={
            "trainhouse.run": str(run.pk),
            "trainhouse.task": task.key,
            "trainhouse.role": task.role,
            "trainhouse.index": str(task.index),
        },
        grace_s=settings.ENV.stop_grace_s,
        log_limit_bytes=settings.ENV.log_limit_bytes,
        keras_metrics=spec.keras_metrics,
        gpu_probe=bool(gpu_indexes),
        cache_key=str(run.owner_id),
        cluster=_cluster(task, roles) if role.listens else None,
        ranks=tuple(rank.key for rank in launched) if role.launches else (),
        is_rank=role.launched,
    )


def _script(spec: RunSpec) -> tuple[str, ...]:
    return spec.entry_script, *spec.argv


def _launched(task: Task, roles: tuple[Role, ...]) -> list[Task]:
    """The tasks that mpirun starts, in the order of their ranks."""
    keys = {role.key for role in roles if role.launched}
    return [mate for mate in task.attempt.tasks.select_related("node").order_by("index") if mate.member in keys]


def _batch_variables(launched: list[Task]) -> dict[str, str]:
    """The nodes under the names by which scripts written for Azure's Batch AI ask for them; nothing without ranks."""
    nodes = {task.node_name: task.node for task in launched if task.node}
    if not nodes:
        return {}
    first = next(iter(nodes.values()))
    return {
        "AZ_BATCH_HOST_LIST": ",".join(node.address for node in nodes.values()),
        "AZ_BATCH_MASTER_NODE": f"{first.address}:{first.ports[0]}",
    }


def _gpu_indexes(task: Task, sharing: list[Task]) -> tuple[int, ...]:
    """The GPUs that ``task`` may see: those of all tasks in ``sharing`` on its machine. Ranks see each other's, since a
    script of Horovod takes the one of its local rank, and MPI counts the ranks of a machine, which may be several
    virtual nodes."""
    slots = [slot for mate in sharing if _machine_of(mate) == _machine_of(task) for slot in mate.slots]
    return tuple(slot["gpu"] for slot in slots if "gpu" in slot)


def _machine_of(task: Task) -> str:
    return task.node.address if task.node and task.node.address else task.node_name


def _cluster(task: Task, roles: tuple[Role, ...]) -> ClusterPlan:
    """What ``task`` needs to meet the others. Raises UserError when its node is gone."""
    if task.node is None:
        raise UserError(f"The node {task.node_name} was removed before {task} could start on it. Submit the run again.")
    return ClusterPlan(
        members=tuple(role.key for role in roles if role.listens),
        member=task.member,
        address=task.node.address,
        ports=task.node.ports,
        listens=True,
        tf_config=True,
    )
