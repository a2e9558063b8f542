"""``DistributedGradientTape`` and ``PartialDistributedGradientTape`` for variables of either Keras."""

from collections.abc import Iterable
from types import ModuleType
from typing import Any

import horovod.tensorflow as hvd
import tensorflow as tf

from trainhouse_horovod.reduction import GradientReduction, ReductionSettings, check_reduction, group_count


def mend(module: ModuleType) -> None:
    module.DistributedGradientTape = distributed_gradient_tape
    module.PartialDistributedGradientTape = partial_distributed_gradient_tape


class DistributedTapeMixin:
    """Comes before the class of a tape. Instances are made by ``distributed_gradient_tape`` alone."""

    _horovod_reduction: GradientReduction

    def register_local_source(self, source: Any) -> None:
        """The gradient of ``source`` stays on this rank from now on."""
        self._horovod_reduction.register_local(source)

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        use_generic_names: bool = False,
        unconnected_gradients: Any = tf.UnconnectedGradients.NONE,
    ) -> Any:
        """The gradients of ``target``, reduced over the ranks, in the structure of ``sources``."""
        gradients = super().gradient(
            target, sources, output_gradients=output_gradients, unconnected_gradients=unconnected_gradients
        )
        reduced = self._horovod_reduction(tf.nest.flatten(gradients), tf.nest.flatten(sources), use_generic_names)
        return tf.nest.pack_sequence_as(sources, reduced)

    def get_local_and_global_gradients(
        self, target: Any, sources: Any, output_gradients: Any = None, use_generic_names: bool = False
    ) -> tuple[list[tuple[Any, Any]], list[tuple[Any, Any]]]:
        """``(source, gradient)`` of the local sources, and of the others; both in the order of ``sources``."""
        gradients = self.gradient(target, sources, output_gradients, use_generic_names)
        pairs: tuple[list[tuple[Any, Any]], list[tuple[Any, Any]]] = ([], [])
        for source, gradient in zip(sources, gradients, strict=True):
            pairs[0 if self._horovod_reduction.is_local(source) else 1].append((source, gradient))
        return pairs


def distributed_gradient_tape(
    gradtape: tf.GradientTape,
    device_dense: str = "",
    device_sparse: str = "",
    compression: Any = hvd.Compression.none,
    sparse_as_dense: bool = False,
    op: int = hvd.Average,
    gradient_predivide_factor: float = 1.0,
    num_groups: int = 0,
    groups: Any = None,
    process_set: Any = hvd.global_process_set,
    scale_local_gradients: bool = True,
) -> Any:
    """A tape with what ``gradtape`` has recorded, whose ``gradient`` is reduced over the ranks."""
    check_reduction(op, gradient_predivide_factor)
    settings = ReductionSettings(
        name="DistributedGradientTape",
        device_dense=device_dense,
        device_sparse=device_sparse,
        compression=compression,
        sparse_as_dense=sparse_as_dense,
        op=op,
        gradient_predivide_factor=gradient_predivide_factor,
        process_set=process_set,
    )
    base = type(gradtape)
    tape = object.__new__(type(base.__name__, (DistributedTapeMixin, base), {}))
    vars(tape).update(vars(gradtape), _recording=False)
    tape._horovod_reduction = GradientReduction(
        settings, groups=group_count(num_groups, groups), scale_local_gradients=scale_local_gradients
    )
    return tape


def partial_distributed_gradient_tape(
    gradtape: tf.GradientTape,
    device_dense: str = "",
    device_sparse: str = "",
    compression: Any = hvd.Compression.none,
    sparse_as_dense: bool = False,
    op: int = hvd.Average,
    gradient_predivide_factor: float = 1.0,
    num_groups: int = 0,
    groups: Any = None,
    process_set: Any = hvd.global_process_set,
    local_layers: Any = None,
    scale_local_gradients: bool = True,
) -> Any:
    """As ``distributed_gradient_tape``; the gradients of ``local_layers`` stay on their rank."""
    local = local_variables(local_layers)
    tape = distributed_gradient_tape(
        gradtape,
        device_dense,
        device_sparse,
        compression,
        sparse_as_dense,
        op,
        gradient_predivide_factor,
        num_groups,
        groups,
        process_set,
        scale_local_gradients,
    )
    for variable in local:
        tape.register_local_source(variable)
    return tape


def local_variables(local_layers: Any) -> list[Any]:
    """The trainable weights of a layer or of several. ValueError for what is no layer, or is not built yet."""
    if local_layers is None:
        return []
    layers: Iterable[Any] = [local_layers] if hasattr(local_layers, "trainable_weights") else list(local_layers)
    for layer in layers:
        if not hasattr(layer, "trainable_weights"):
            raise ValueError(f"local_layers takes layers of Keras; one of them is {layer!r}.")
        if not layer.built:
            raise ValueError(
                f"The layer {layer.name} is not built, so it has no weights yet that could stay local. Build the model "
                "first: model.build(input_shape), or call it once on a batch."
            )
    return [weight for layer in layers for weight in layer.trainable_weights]
