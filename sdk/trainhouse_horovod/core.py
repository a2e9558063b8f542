"""Mends ``horovod.tensorflow``: collectives, broadcasts, tapes, the optimizer's front and elastic state."""

import functools
from types import ModuleType
from typing import Any

import horovod

from trainhouse_horovod import batch_norm, broadcasting, elastic, tape
from trainhouse_horovod.reduction import group_count
from trainhouse_horovod.variables import is_keras_3_optimizer, native, natives

#: The one Horovod that this package was written for; there has been no later one since June 2023.
HOROVOD = "0.28.1"

#: Collectives whose first argument is one tensor or variable, and those whose first argument is a list of them.
OF_ONE = ("allreduce", "allgather", "broadcast", "alltoall", "reducescatter")
OF_MANY = ("grouped_allreduce", "grouped_allgather", "grouped_reducescatter")


def mend(hvd: ModuleType) -> None:
    """Changes what fails or misleads under Keras 3. Raises ImportError for a Horovod other than 0.28.1."""
    if horovod.__version__ != HOROVOD:
        raise ImportError(
            f"trainhouse_horovod makes Horovod {HOROVOD} average under Keras 3; Horovod {horovod.__version__} is "
            "installed. Uninstall one of the two."
        )
    for name in OF_ONE:
        setattr(hvd, name, _unwrapping(getattr(hvd, name), native))
    for name in OF_MANY:
        setattr(hvd, name, _unwrapping(getattr(hvd, name), natives))
    broadcasting.mend(hvd)
    tape.mend(hvd)
    batch_norm.mend(hvd)
    elastic.mend(hvd.elastic)
    hvd.DistributedOptimizer = _optimizer_front(hvd)


def _unwrapping(collective: Any, unwrap: Any) -> Any:
    @functools.wraps(collective)
    def on_native(value: Any, *args: Any, **kwargs: Any) -> Any:
        return collective(unwrap(value), *args, **kwargs)

    return on_native


def _optimizer_front(hvd: ModuleType) -> Any:
    """``hvd.DistributedOptimizer``: Horovod's own forgets ``op`` and ``groups`` on the way to a Keras optimizer."""
    original = hvd.DistributedOptimizer

    @functools.wraps(original)
    def distributed_optimizer(
        optimizer: Any,
        name: str | None = None,
        use_locking: bool = False,
        device_dense: str = "",
        device_sparse: str = "",
        compression: Any = hvd.Compression.none,
        sparse_as_dense: bool = False,
        backward_passes_per_step: int = 1,
        op: int = hvd.Average,
        gradient_predivide_factor: float = 1.0,
        average_aggregated_gradients: bool = False,
        num_groups: int = 0,
        groups: Any = None,
        process_set: Any = hvd.global_process_set,
        scale_local_gradients: bool = True,
    ) -> Any:
        settings = {
            "name": name,
            "device_dense": device_dense,
            "device_sparse": device_sparse,
            "compression": compression,
            "sparse_as_dense": sparse_as_dense,
            "backward_passes_per_step": backward_passes_per_step,
            "op": op,
            "gradient_predivide_factor": gradient_predivide_factor,
            "average_aggregated_gradients": average_aggregated_gradients,
            "process_set": process_set,
            "scale_local_gradients": scale_local_gradients,
        }
        if not is_keras_3_optimizer(optimizer):
            return original(optimizer, use_locking=use_locking, num_groups=num_groups, groups=groups, **settings)
        from trainhouse_horovod.keras_layer import distributed_keras_3  # imports Horovod's Keras half

        return distributed_keras_3(optimizer, groups=group_count(num_groups, groups), **settings)

    return distributed_optimizer
