"""Mends ``horovod._keras``, which ``horovod.keras`` and ``horovod.tensorflow.keras`` both stand on."""

from types import ModuleType
from typing import Any

import horovod.tensorflow as hvd
import numpy as np

from trainhouse_horovod import training
from trainhouse_horovod.optimizer import distributed
from trainhouse_horovod.reduction import GradientReduction, ReductionSettings, check_reduction
from trainhouse_horovod.variables import is_keras_3, is_keras_3_optimizer, keras_3, native

#: Where optimizers of Keras 2 come from; they go to Horovod's own code.
KERAS_2 = ("tf_keras.", "keras.src.", "keras.", "tensorflow.python.keras.")


def mend(module: ModuleType) -> None:
    create, load = module.create_distributed_optimizer, module.load_model

    def create_distributed_optimizer(keras: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        if is_keras_3_optimizer(optimizer):
            return distributed_keras_3(optimizer, *args, **kwargs)
        if not any(base.__module__.startswith(KERAS_2) for base in type(optimizer).__mro__):
            raise TypeError(
                "hvd.DistributedOptimizer wraps an optimizer object of Keras, such as keras.optimizers.Adam(0.001); it "
                f"was given {optimizer!r}."
            )
        return create(keras, optimizer, *args, **kwargs)

    def load_model(
        keras: Any,
        wrap_optimizer: Any,
        filepath: Any,
        custom_optimizers: Any,
        custom_objects: Any,
        legacy_opts: bool = False,
    ) -> Any:
        if is_keras_3(keras):
            return load_keras_3(keras, wrap_optimizer, filepath, custom_optimizers, custom_objects, legacy_opts)
        return load(keras, wrap_optimizer, filepath, custom_optimizers, custom_objects, legacy_opts)

    module.create_distributed_optimizer = create_distributed_optimizer
    module.load_model = load_model
    for name in ("allreduce", "allgather", "broadcast", "reducescatter"):
        setattr(module, name, _of_values(getattr(module, name)))


def distributed_keras_3(
    optimizer: Any,
    name: str | None,
    device_dense: str,
    device_sparse: str,
    compression: Any,
    sparse_as_dense: bool,
    gradient_predivide_factor: float,
    op: int,
    backward_passes_per_step: int = 1,
    average_aggregated_gradients: bool = False,
    groups: Any = None,
    process_set: Any = hvd.global_process_set,
    scale_local_gradients: bool = True,
) -> Any:
    """The distributed copy of a Keras 3 optimizer; arguments as in Horovod's ``DistributedOptimizer``."""
    backend = keras_3().backend.backend()
    if backend != "tensorflow":
        raise ValueError(
            f"Keras runs on {backend} here, and Horovod averages what TensorFlow computes. Set KERAS_BACKEND=tensorflow"
        )
    check_reduction(op, gradient_predivide_factor)
    if op == hvd.Adasum and average_aggregated_gradients:
        raise ValueError("Adasum does not combine averages: leave average_aggregated_gradients out, or op=hvd.Adasum.")
    training.mend()
    settings = ReductionSettings(
        name=name or f"Distributed{type(optimizer).__name__}",
        device_dense=device_dense,
        device_sparse=device_sparse,
        compression=compression,
        sparse_as_dense=sparse_as_dense,
        op=op,
        gradient_predivide_factor=gradient_predivide_factor,
        process_set=process_set,
    )
    return distributed(
        optimizer,
        GradientReduction(settings, groups=groups, scale_local_gradients=scale_local_gradients),
        passes=backward_passes_per_step,
        average_passes=average_aggregated_gradients,
    )


def load_keras_3(
    keras: Any, wrap_optimizer: Any, filepath: Any, custom_optimizers: Any, custom_objects: Any, legacy_opts: bool
) -> Any:
    """The saved model, its optimizer distributed and with its slots. A model saved uncompiled stays so."""
    if legacy_opts:
        raise ValueError(
            "legacy_opts=True asks for keras.optimizers.legacy, which Keras 3 has not. Leave it out, or run with "
            "TF_USE_LEGACY_KERAS=1 and tf_keras installed."
        )
    objects = {cls.__name__: cls for cls in custom_optimizers or ()}
    model = keras.models.load_model(filepath, custom_objects={**objects, **(custom_objects or {})})
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None:
        model.optimizer = wrap_optimizer(lambda **_: optimizer)()
    return model


def _of_values(collective: Any) -> Any:
    """A collective of Horovod's Keras half that also takes variables of Keras 3."""

    def on_value(backend: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        value = native(value)
        return collective(backend, value.numpy() if hasattr(value, "numpy") else np.asarray(value), *args, **kwargs)

    return on_value
