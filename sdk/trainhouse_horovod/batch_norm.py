"""``SyncBatchNormalization`` for Keras 3: the mean and variance of all ranks' batches together."""

from types import ModuleType
from typing import Any

import horovod.tensorflow as hvd
import tensorflow as tf

from trainhouse_horovod.variables import is_keras_3, keras_3


def mend(module: ModuleType) -> None:
    """Puts the layer in, where ``tf.keras`` is Keras 3; Horovod's own layer is right for ``tf_keras``."""
    if not is_keras_3(tf.keras):
        return
    layer = _layer_class(tf.keras.layers.BatchNormalization)
    layer.__module__, layer.__qualname__ = module.sync_batch_norm.__name__, layer.__name__
    keras_3().saving.register_keras_serializable(package="horovod")(layer)
    module.SyncBatchNormalization = module.sync_batch_norm.SyncBatchNormalization = layer


def _layer_class(base: type) -> type:
    class SyncBatchNormalization(base):
        """Batch normalization whose mean and variance in training are those of all ranks' batches together."""

        def __init__(self, fused: bool = False, **kwargs: Any) -> None:
            if fused in (True, None):
                raise ValueError("SyncBatchNormalization does not support fused=True. Leave fused out.")
            super().__init__(**kwargs)

        def _moments(self, inputs: Any, mask: Any = None) -> tuple[Any, Any]:
            mean, variance = super()._moments(inputs, mask)
            if hvd.size() == 1:
                return mean, variance
            count = self._count(inputs, mask)
            sums = tf.stack([mean * count, (variance + tf.square(mean)) * count, tf.ones_like(mean) * count])
            total, total_of_squares, counted = tf.unstack(hvd.allreduce(sums, op=hvd.Sum))
            mean = total / counted
            return mean, total_of_squares / counted - tf.square(mean)

        def _count(self, inputs: Any, mask: Any) -> Any:
            """How many values each of this rank's means is of."""
            if mask is not None:
                return tf.reduce_sum(tf.cast(mask, inputs.dtype))
            sizes = tf.gather(tf.shape(inputs), self._reduction_axes)
            return tf.cast(tf.reduce_prod(sizes), inputs.dtype)

    return SyncBatchNormalization
