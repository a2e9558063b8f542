"""With ``TF_USE_LEGACY_KERAS=1``, ``tf.keras`` is Keras 2: Horovod's own code trains it, with its callbacks mended."""

import horovod.tensorflow as core
import horovod.tensorflow.keras as hvd
import numpy as np
import tensorflow as tf
from harness import X, Y, assert_close, assert_same_everywhere, check, flat, half, main, on_every_rank


def train(optimizer, x, y, callbacks=()):
    initial = tf.keras.initializers.RandomNormal(seed=1)
    model = tf.keras.Sequential(
        [
            tf.keras.layers.Dense(4, activation="tanh", kernel_initializer=initial, input_shape=(3,)),
            tf.keras.layers.Dense(1, kernel_initializer=initial),
        ]
    )
    model.compile(optimizer=optimizer, loss="mse")
    batch = x.shape[1]
    history = model.fit(*flat(x, y), batch_size=batch, shuffle=False, verbose=0, epochs=2, callbacks=list(callbacks))
    return model, history.history


@check
def keras_2_trains_by_horovods_own_code():
    assert tf.keras.Model.__module__.startswith("tf_keras.")
    optimizer = hvd.DistributedOptimizer(tf.keras.optimizers.SGD(0.1))
    assert not any("trainhouse" in base.__module__ for base in type(optimizer).__mro__)
    model, _ = train(optimizer, *half())
    assert_same_everywhere(model.get_weights())
    assert_close(model.get_weights(), train(tf.keras.optimizers.SGD(0.1), X, Y)[0].get_weights())


@check
def callbacks_of_keras_2_work():
    optimizer = hvd.DistributedOptimizer(tf.keras.optimizers.SGD(0.1, momentum=0.9))
    callbacks = [
        hvd.callbacks.BroadcastGlobalVariablesCallback(0),
        hvd.callbacks.MetricAverageCallback(),
        hvd.callbacks.LearningRateWarmupCallback(0.1, warmup_epochs=2),
    ]
    model, history = train(optimizer, *half(), callbacks=callbacks)
    assert_same_everywhere(model.get_weights())
    assert np.ptp(on_every_rank(history["loss"]), axis=0).max() == 0
    assert_close([history["lr"]], [[0.075, 0.1]])


@check
def the_tape_and_the_core_front_take_keras_2():
    variable = tf.Variable([1.0])
    with tf.GradientTape() as tape:
        loss = (core.rank() + 1.0) * variable
    assert_close(core.DistributedGradientTape(tape).gradient(loss, [variable]), [[1.5]])
    core.DistributedOptimizer(tf.keras.optimizers.legacy.SGD(1.0)).apply_gradients([(tf.constant([1.0]), variable)])
    core.broadcast_variables([variable], root_rank=0)


if __name__ == "__main__":
    main(core)
