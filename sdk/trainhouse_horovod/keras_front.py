"""Mends ``horovod.keras`` and ``horovod.tensorflow.keras``: Adasum, local layers, and the backend module."""

import functools
import inspect
from types import ModuleType
from typing import Any

import horovod.tensorflow as hvd
import tensorflow as tf

from trainhouse_horovod.keras_layer import distributed_keras_3
from trainhouse_horovod.reduction import group_count
from trainhouse_horovod.tape import local_variables
from trainhouse_horovod.variables import is_keras_3_optimizer


def mend(module: ModuleType) -> None:
    if hasattr(module, "K"):
        module.K = tf.keras.backend  # Horovod's own import takes the backend of another Keras than tf.keras'
    module.DistributedOptimizer = _front(module.DistributedOptimizer)
    partial = getattr(module, "PartialDistributedOptimizer", None)
    module.PartialDistributedOptimizer = _partial(partial, module.DistributedOptimizer)
    module.Adasum = hvd.Adasum


def _front(original: Any) -> Any:
    """``DistributedOptimizer``, with the arguments that one of Horovod's two has and the other lacks, by keyword."""
    positional = inspect.signature(original)

    @functools.wraps(original)
    def distributed_optimizer(optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_keras_3_optimizer(optimizer):
            return original(optimizer, *args, **kwargs)
        named = dict(zip(list(positional.parameters)[1:], args, strict=False))
        if len(args) > len(named):
            positional.bind(optimizer, *args)
        return _distributed(optimizer, **named, **kwargs)

    return distributed_optimizer


def _partial(original: Any, whole: Any) -> Any:
    def partial_distributed_optimizer(optimizer: Any, *args: Any, local_layers: Any = None, **kwargs: Any) -> Any:
        """As ``DistributedOptimizer``; the gradients of ``local_layers`` stay on their rank."""
        if original is not None and not is_keras_3_optimizer(optimizer):
            return original(optimizer, *args, local_layers=local_layers, **kwargs)
        local = local_variables(local_layers)
        distributed = whole(optimizer, *args, **kwargs)
        for variable in local:
            distributed.register_local_var(variable)
        return distributed

    return partial_distributed_optimizer


def _distributed(
    optimizer: Any,
    name: str | None = None,
    device_dense: str = "",
    device_sparse: str = "",
    compression: Any = hvd.Compression.none,
    sparse_as_dense: bool = False,
    gradient_predivide_factor: float = 1.0,
    op: int = hvd.Average,
    backward_passes_per_step: int = 1,
    average_aggregated_gradients: bool = False,
    num_groups: int = 0,
    groups: Any = None,
    process_set: Any = hvd.global_process_set,
    scale_local_gradients: bool = True,
) -> Any:
    return distributed_keras_3(
        optimizer,
        name=name,
        device_dense=device_dense,
        device_sparse=device_sparse,
        compression=compression,
        sparse_as_dense=sparse_as_dense,
        gradient_predivide_factor=gradient_predivide_factor,
        op=op,
        backward_passes_per_step=backward_passes_per_step,
        average_aggregated_gradients=average_aggregated_gradients,
        groups=group_count(num_groups, groups),
        process_set=process_set,
        scale_local_gradients=scale_local_gradients,
    )
