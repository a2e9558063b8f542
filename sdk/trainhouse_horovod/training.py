"""Two places of Keras 3 itself that must know of a distributed optimizer: its loss scale and its compiled step."""

import functools
import warnings
from typing import Any

import horovod.tensorflow as hvd
import tensorflow as tf

from trainhouse_horovod.optimizer import DistributedMixin, is_distributed
from trainhouse_horovod.variables import keras_3


@functools.cache
def mend() -> None:
    """Changes Keras 3 for models with a distributed optimizer; all others train as before. Works once."""
    from keras.src.backend.tensorflow.trainer import TensorFlowTrainer

    scale = keras_3().optimizers.LossScaleOptimizer
    scale.check_finite = _agreed(scale.check_finite)
    TensorFlowTrainer.make_train_function = _without_xla(TensorFlowTrainer.make_train_function)


def _agreed(check_finite: Any) -> Any:
    """A loss scale around a distributed optimizer skips a step on every rank or on none.

    Each rank looks at its own gradients first. Without this, a rank that overflows alone would skip the reduction that
    the others wait in.
    """

    @functools.wraps(check_finite)
    def on_all_ranks(self: Any, grads: Any) -> Any:
        finite = check_finite(self, grads)
        if isinstance(self, DistributedMixin) or not is_distributed(self.inner_optimizer):
            return finite
        return _all_finite(self.inner_optimizer.process_set)(finite)

    return on_all_ranks


@functools.cache
def _all_finite(process_set: Any) -> Any:
    @tf.function
    def all_finite(finite: tf.Tensor) -> tf.Tensor:
        least = hvd._allreduce_cond(tf.cast(finite, tf.int32), op=hvd.Min, process_set=process_set)
        return tf.equal(least, 1)

    return all_finite


def _without_xla(make_train_function: Any) -> Any:
    """Horovod's reductions have no kernel in XLA, which compiles a training step as a whole or not at all.

    Only the training step goes without; evaluation and prediction keep what ``compile(jit_compile=...)`` says.
    """

    @functools.wraps(make_train_function)
    def make(self: Any, force: bool = False) -> Any:
        wanted = self.jit_compile
        if not wanted or not is_distributed(self.optimizer):
            return make_train_function(self, force)
        warnings.warn(
            "The training step is not compiled by XLA (jit_compile), because it averages gradients by Horovod. "
            "Evaluation and prediction are.",
            stacklevel=2,
        )
        self.jit_compile = False
        try:
            return make_train_function(self, force)
        finally:
            self.jit_compile = wanted

    return make
