"""Mends what Horovod's callbacks do (``horovod._keras.callbacks``): broadcast, averaged metrics, learning rates."""

from types import ModuleType
from typing import Any

import horovod.tensorflow as hvd
import tensorflow as tf

from trainhouse_horovod.variables import is_keras_3_optimizer, native, natives

#: Where the optimizers of Keras 3 and of tf_keras are defined.
KERAS = ("keras.", "tf_keras.")


def mend(module: ModuleType) -> None:
    _mend_broadcast(module.BroadcastGlobalVariablesCallbackImpl)
    _mend_metrics(module.MetricAverageCallbackImpl)
    _mend_schedule(module.LearningRateScheduleCallbackImpl)
    _mend_warmup(module.LearningRateWarmupCallbackImpl)


def _mend_broadcast(impl: type) -> None:
    broadcast_at_end = impl.on_batch_end

    def register_local_var(self: Any, var: Any) -> None:
        """The value of ``var`` stays on each rank as it is."""
        self._local_vars.add(native(var).ref())

    def on_batch_begin(self: Any, batch: int, logs: Any = None) -> None:
        """Broadcasts before the first step, so that all of it is a step of the same weights, where these are there."""
        optimizer = self.model.optimizer
        if self.broadcast_done or not is_keras_3_optimizer(optimizer):
            return
        if self.model.built and all(layer.built for layer in self.model._flatten_layers()):
            if not optimizer.built:
                optimizer.build(self.model.trainable_variables)
            broadcast(self)

    def on_batch_end(self: Any, batch: int, logs: Any = None) -> None:
        if is_keras_3_optimizer(self.model.optimizer):
            broadcast(self)
        else:
            broadcast_at_end(self, batch, logs)

    def broadcast(self: Any) -> None:
        if self.broadcast_done:
            return
        # Weights, not all variables: a rank keeps its metrics and the random state of its own dropout.
        variables = natives([*self.model.weights, *self.model.optimizer.variables])
        with tf.device(self.device):
            hvd.broadcast_variables(
                [variable for variable in variables if variable.ref() not in self._local_vars],
                root_rank=self.root_rank,
            )
        self.broadcast_done = True

    impl.register_local_var = register_local_var
    impl.on_batch_begin = on_batch_begin
    impl.on_batch_end = on_batch_end


def _mend_metrics(impl: type) -> None:
    in_graph = impl._average_metrics_in_place

    def average_metrics_in_place(self: Any, logs: dict[str, Any] | None) -> None:
        """Averages each number in ``logs`` over the ranks, in the order of their names."""
        if not tf.executing_eagerly():
            in_graph(self, logs)
            return
        with tf.device(self.device):
            for name, value in sorted((logs or {}).items()):
                mean = hvd.allreduce(tf.constant(float(value), dtype=tf.float64), op=hvd.Average)
                logs[name] = float(mean.numpy())

    impl._average_metrics_in_place = average_metrics_in_place


def _mend_schedule(impl: type) -> None:
    adjust, restore = impl._adjust_learning_rate, impl._restore_momentum_if_needed
    begin, end_epoch = impl.on_train_begin, impl.on_epoch_end

    def adjust_learning_rate(self: Any, epoch: float) -> None:
        optimizer = self.model.optimizer
        if not is_keras_3_optimizer(optimizer) and not isinstance(getattr(optimizer, "momentum", None), float):
            adjust(self, epoch)  # a momentum that can be assigned, or none
            return
        old = current_rate(optimizer)
        new = float(self.initial_lr * self.multiplier(epoch))
        optimizer.learning_rate = new
        if self.momentum_correction and old:
            correct_momentum(optimizer, new / old)

    def restore_momentum_if_needed(self: Any) -> None:
        if not is_keras_3_optimizer(self.model.optimizer):
            restore(self)

    def on_train_begin(self: Any, logs: Any = None) -> None:
        if self.initial_lr is None and is_keras_3_optimizer(self.model.optimizer):
            self.initial_lr = current_rate(self.model.optimizer)
        begin(self, logs)

    def on_epoch_end(self: Any, epoch: int, logs: Any = None) -> None:
        if not is_keras_3_optimizer(self.model.optimizer):
            end_epoch(self, epoch, logs)
        elif logs is not None:
            logs["lr"] = current_rate(self.model.optimizer)

    impl._adjust_learning_rate = adjust_learning_rate
    impl._restore_momentum_if_needed = restore_momentum_if_needed
    impl.on_train_begin = on_train_begin
    impl.on_epoch_end = on_epoch_end


def _mend_warmup(impl: type) -> None:
    original = impl.on_epoch_end

    def on_epoch_end(self: Any, epoch: int, logs: Any = None) -> None:
        if not is_keras_3_optimizer(self.model.optimizer):
            original(self, epoch, logs)
            return
        super(impl, self).on_epoch_end(epoch, logs)
        if epoch == self.end_epoch - 1 and self.verbose > 0 and hvd.rank() == 0:
            rate = current_rate(self.model.optimizer)
            print(f"\nEpoch {epoch + 1}: finished gradual learning rate warmup to {rate:g}.")  # noqa: T201

    impl.on_epoch_end = on_epoch_end


def current_rate(optimizer: Any) -> float:
    """The learning rate that the next step takes."""
    return float(tf.convert_to_tensor(optimizer.learning_rate))


def correct_momentum(optimizer: Any, ratio: float) -> None:
    """Scales the velocities of SGD and RMSprop by ``ratio``, the new learning rate to the old.

    Their velocity holds the learning rate of past steps. Horovod multiplies ``optimizer.momentum`` for one step, which
    has been a number built into the compiled step since TensorFlow 2.11; scaling what it multiplies is the same step.
    Velocities of Keras's other optimizers hold no learning rate. ValueError for a momentum of a class of one's own.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if not getattr(optimizer, "momentum", None):
        return
    for velocity in _velocities(optimizer):
        velocity.assign(velocity * tf.cast(ratio, velocity.dtype))


def _velocities(optimizer: Any) -> list[tf.Variable]:
    """Empty before the first step."""
    kerass = {base.__name__ for base in type(optimizer).__mro__ if base.__module__.startswith(KERAS)}
    for name, attribute in (("SGD", "momentums"), ("RMSprop", "_momentums")):
        if name in kerass:
            return natives(velocity for velocity in getattr(optimizer, attribute, ()) if velocity is not None)
    if type(optimizer).__module__.startswith(KERAS):
        return []
    raise ValueError(
        f"The momentum of {type(optimizer).__name__} cannot be corrected for a new learning rate: how its velocity "
        "holds the rate is not known. Pass momentum_correction=False to the callback."
    )
