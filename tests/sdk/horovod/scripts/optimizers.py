"""DistributedOptimizer: every argument, every way to train, against one process that has the whole batch."""

import copy
from functools import cache

import horovod.keras
import horovod.tensorflow
import horovod.tensorflow.keras as hvd
import keras
import numpy as np
import tensorflow as tf
from harness import (
    BATCH,
    X,
    Y,
    assert_close,
    assert_differ,
    assert_same_everywhere,
    check,
    fit,
    fit_alone,
    fit_together,
    half,
    main,
    make_model,
    raises,
    steps,
)

Opt = keras.optimizers
FIRST_RANK = hvd.ProcessSet([0])


@cache
def alone():
    """The weights after plain SGD in one process."""
    return fit_alone(Opt.SGD(0.1)).get_weights()


def assert_as_alone(make, wrap=hvd.DistributedOptimizer, tolerance=2e-6, train_alone=fit_alone, train=fit_together):
    model = train(wrap(make()))
    assert_same_everywhere(model.get_weights())
    assert_close(model.get_weights(), train_alone(make()).get_weights(), tolerance)


def assert_averaged(model, tolerance=2e-6):
    assert_same_everywhere(model.get_weights())
    assert_close(model.get_weights(), alone(), tolerance)


@check
def an_optimizer_without_horovod_leaves_the_ranks_different():
    assert_differ(fit_together(Opt.SGD(0.1)).get_weights())


@check
def optimizers_of_keras_train_as_one_process_would():
    schedule = Opt.schedules.ExponentialDecay(0.1, 2, 0.5)
    for make in (
        lambda: Opt.SGD(schedule, momentum=0.9, nesterov=True, clipvalue=0.1),
        lambda: Opt.Adam(lambda: 0.01, use_ema=True, ema_overwrite_frequency=2),
        lambda: Opt.AdamW(0.01, weight_decay=0.1, clipnorm=0.05),
        lambda: Opt.RMSprop(0.01, momentum=0.5, global_clipnorm=0.1),
        lambda: Opt.Lion(0.01),
    ):
        assert_as_alone(make)


@check
def all_three_fronts_average():
    for front in (hvd, horovod.keras, horovod.tensorflow):
        assert_averaged(fit_together(front.DistributedOptimizer(Opt.SGD(0.1))))


@check
def apply_gradients_and_apply_average_in_a_graph_and_eagerly():
    for eager in (False, True):
        assert_as_alone(
            lambda: Opt.Adam(0.01),
            train=lambda opt, eager=eager: steps(opt, *half(), eager=eager),
            train_alone=lambda opt: steps(opt, X, Y),
        )


@check
def a_train_step_of_ones_own_averages():
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = make_model()

        def call(self, x):
            return self.inner(x)

        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = self.compute_loss(y=y, y_pred=self(x, training=True))
            grads = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply(grads, self.trainable_variables)
            return {"loss": loss}

    model = fit_together(hvd.DistributedOptimizer(Opt.SGD(0.1)), model=Model())
    assert_averaged(model)


@check
def fit_averages_eagerly_with_jit_compile_and_with_steps_per_execution():
    for arguments in ({"run_eagerly": True}, {"jit_compile": True}, {"steps_per_execution": 2}):
        model = fit_together(hvd.DistributedOptimizer(Opt.SGD(0.1)), **arguments)
        assert_averaged(model)
        assert model.jit_compile == arguments.get("jit_compile", False)
        if model.jit_compile:
            model.evaluate(np.zeros((8, 3)), np.zeros((8, 1)), verbose=0)


@check
def train_on_batch_averages():
    model = make_model()
    model.compile(optimizer=hvd.DistributedOptimizer(Opt.SGD(0.1)), loss="mse")
    for x, y in zip(*half(), strict=True):
        model.train_on_batch(x, y)
    assert_averaged(model)


@check
def compression_grouping_predivision_and_names_give_the_same_average():
    for arguments, tolerance in (
        ({"compression": hvd.Compression.fp16}, 2e-3),
        ({"gradient_predivide_factor": 2.0}, 2e-6),
        ({"groups": 2}, 2e-6),
        ({"num_groups": 1}, 2e-6),
        ({"name": "Mine", "device_dense": "/cpu:0", "device_sparse": "/cpu:0", "sparse_as_dense": True}, 2e-6),
        ({"op": hvd.Average, "process_set": hvd.global_process_set, "scale_local_gradients": False}, 2e-6),
    ):
        model = steps(hvd.DistributedOptimizer(Opt.SGD(0.1), **arguments), *half(), eager=True)
        assert_averaged(model, tolerance)


@check
def groups_of_variables_lose_no_gradient():
    model = make_model()
    one, two = model.layers
    optimizer = hvd.DistributedOptimizer(Opt.SGD(0.1), groups=[[one.kernel, two.kernel], [one.bias]])
    assert_averaged(fit_together(optimizer, model=model))


@check
def sum_is_twice_the_average_on_two_ranks():
    for front in (hvd, horovod.keras, horovod.tensorflow):
        assert_averaged(steps(front.DistributedOptimizer(Opt.SGD(0.05), op=hvd.Sum), *half(), eager=True))


@check
def adasum_keeps_the_ranks_equal_and_adds_orthogonal_steps():
    for front in (hvd, horovod.keras, horovod.tensorflow):
        optimizer = front.DistributedOptimizer(Opt.SGD(0.1), op=horovod.tensorflow.Adasum)
        model = steps(optimizer, *half(), eager=front is not hvd)
        assert_same_everywhere(model.get_weights())
    weight = keras.Variable(np.zeros(2, "float32"))
    optimizer = hvd.DistributedOptimizer(Opt.SGD(1.0), op=horovod.tensorflow.Adasum)
    optimizer.apply_gradients([(tf.one_hot(hvd.rank(), 2), weight)])
    assert_close([weight], [[-1.0, -1.0]])


@check
def backward_passes_are_summed_on_their_rank_and_applied_once():
    for average, rate in ((False, 0.2), (True, 0.1)):
        optimizer = hvd.DistributedOptimizer(
            Opt.SGD(0.1), backward_passes_per_step=2, average_aggregated_gradients=average
        )
        model = make_model()
        first = [weight.copy() for weight in model.get_weights()]
        x, y = half()
        fit(optimizer, x[:1], y[:1], batch=BATCH // 2, model=model)
        assert_close(model.get_weights(), first, 0)
        fit(optimizer, x[1:2], y[1:2], batch=BATCH // 2, model=model)
        assert_same_everywhere(model.get_weights())
        # Two passes of the same weights are one pass of both batches.
        plain = fit(Opt.SGD(rate), X[:2], Y[:2], batch=2 * BATCH)
        assert_close(model.get_weights(), plain.get_weights())
        assert int(optimizer.iterations.numpy()) == 2


@check
def backward_passes_work_in_a_loop_of_ones_own():
    for eager in (False, True):
        optimizer = hvd.DistributedOptimizer(
            Opt.SGD(0.1), backward_passes_per_step=2, average_aggregated_gradients=True
        )
        model = steps(optimizer, *half(), eager=eager)
        assert_same_everywhere(model.get_weights())
        plain = steps(Opt.SGD(0.1), X.reshape(2, 2 * BATCH, 3), Y.reshape(2, 2 * BATCH, 1), eager=True)
        assert_close(model.get_weights(), plain.get_weights())
        assert int(optimizer.iterations.numpy()) == 4


@check
def keras_own_accumulation_averages_alone_and_with_backward_passes():
    assert_as_alone(lambda: Opt.SGD(0.1, gradient_accumulation_steps=2))
    assert_as_alone(
        lambda: Opt.SGD(0.1, gradient_accumulation_steps=2),
        lambda opt: hvd.DistributedOptimizer(opt, backward_passes_per_step=2, average_aggregated_gradients=True),
        train_alone=lambda _: fit(Opt.SGD(0.1), X, Y, batch=4 * BATCH),
    )


@check
def sparse_gradients_average_as_sparse_and_as_dense():
    def train(optimizer, ids):
        table = keras.layers.Embedding(5, 2, embeddings_initializer=keras.initializers.RandomNormal(seed=1))
        model = keras.Sequential([keras.layers.Input((2,)), table, keras.layers.Dense(1, kernel_initializer="ones")])
        model.compile(optimizer=optimizer, loss="mse")
        model.fit(ids, np.ones((len(ids), 2, 1)), batch_size=len(ids), verbose=0, epochs=3, shuffle=False)
        return model

    ids = np.array([[0, 1], [2, 2], [1, 3], [4, 0]])
    mine = ids[2 * hvd.rank() : 2 * hvd.rank() + 2]
    whole = train(Opt.SGD(0.5), ids).get_weights()
    for arguments in ({}, {"sparse_as_dense": True}, {"groups": 1}, {"compression": hvd.Compression.fp16}):
        model = train(hvd.DistributedOptimizer(Opt.SGD(0.5), **arguments), mine)
        assert_same_everywhere(model.get_weights())
        assert_close(model.get_weights(), whole, 2e-3 if "compression" in arguments else 2e-6)
    train(hvd.DistributedOptimizer(Opt.SGD(0.5), backward_passes_per_step=2, sparse_as_dense=True), mine)
    raises(
        ValueError,
        "sparse_as_dense=True",
        train,
        hvd.DistributedOptimizer(Opt.SGD(0.5), backward_passes_per_step=2),
        mine,
    )


@check
def mixed_precision_averages_whichever_wraps_the_other():
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        half_precision = fit_alone(Opt.SGD(0.1)).get_weights()
        for optimizer in (
            hvd.DistributedOptimizer(Opt.SGD(0.1)),
            Opt.LossScaleOptimizer(hvd.DistributedOptimizer(Opt.SGD(0.1))),
            hvd.DistributedOptimizer(Opt.LossScaleOptimizer(Opt.SGD(0.1))),
        ):
            model = fit_together(optimizer)
            assert_same_everywhere(model.get_weights())
            assert_close(model.get_weights(), half_precision, 5e-3)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert_averaged(fit_together(hvd.DistributedOptimizer(Opt.SGD(0.1, loss_scale_factor=8.0))))


@check
def a_loss_scale_skips_a_step_on_all_ranks_when_one_overflows():
    for wrap in (
        lambda opt: Opt.LossScaleOptimizer(hvd.DistributedOptimizer(opt)),
        lambda opt: hvd.DistributedOptimizer(Opt.LossScaleOptimizer(opt)),
    ):
        weight = keras.Variable(np.zeros(2, "float32"))
        optimizer = wrap(Opt.SGD(1.0))
        optimizer.build([weight])
        step = graph_step(optimizer, weight)
        step(tf.constant([np.inf if hvd.rank() == 1 else 1.0, 1.0]))
        assert_close([weight], [[0, 0]], 0)
        assert float(optimizer.dynamic_scale.numpy()) == 2.0**14
        step(tf.constant([2.0**14, 2.0**15]))
        assert_close([weight], [[-1, -2]], 0)


def graph_step(optimizer, weight):
    return tf.function(lambda gradient: optimizer.apply([gradient], [weight]))


@check
def local_variables_keep_their_own_gradient():
    for scale in (True, False):
        shared, local = keras.Variable(np.zeros(1, "float32")), keras.Variable(np.zeros(1, "float32"))
        optimizer = hvd.DistributedOptimizer(Opt.SGD(1.0), scale_local_gradients=scale)
        optimizer.register_local_var(local)
        gradient = tf.constant([2.0 * (hvd.rank() + 1)])
        optimizer.apply_gradients([(gradient, shared), (gradient, local)])
        assert_close([shared, local], [[-3.0], -gradient / (2 if scale else 1)], 0)


@check
def partial_distributed_optimizer_leaves_layers_local():
    for front in (hvd, horovod.keras):
        model = make_model()
        fit_together(front.PartialDistributedOptimizer(Opt.SGD(0.1), local_layers=model.layers[1]), model=model)
        assert_differ(model.layers[1].get_weights())
    raises(
        ValueError,
        "is not built",
        hvd.PartialDistributedOptimizer,
        Opt.SGD(0.1),
        local_layers=[keras.layers.Dense(1)],
    )


@check
def a_process_set_reduces_over_its_ranks_alone():
    optimizer = hvd.DistributedOptimizer(Opt.SGD(0.1), process_set=FIRST_RANK)
    assert_differ(fit_together(optimizer).get_weights())


@check
def a_built_optimizer_keeps_its_slots_and_its_own_settings():
    class Mine(Opt.SGD):
        pass

    original = Mine(0.1, momentum=0.9)
    original.exclude_from_weight_decay(var_names=["bias"])
    model = fit(original, X, Y, batch=BATCH)
    wrapped = hvd.DistributedOptimizer(original)
    assert isinstance(wrapped, Mine)
    assert type(wrapped).__name__ == "Mine"
    assert wrapped is not original
    assert_close(wrapped.variables, original.variables, 0)
    assert wrapped._exclude_from_weight_decay_pattern is original._exclude_from_weight_decay_pattern
    assert len(wrapped.variables()) == len(original.variables)
    assert wrapped.get_config() == original.get_config()
    fit_together(wrapped, model=model)
    assert_same_everywhere(model.get_weights())
    wrapped.lr = 0.5
    assert_close([wrapped.learning_rate, original.learning_rate], [0.5, 0.1])


@check
def two_optimizers_of_one_class_train_in_one_step():
    one, two = (keras.Variable(np.zeros((n, 2), "float32")) for n in (2, 3))
    first, second = (hvd.DistributedOptimizer(Opt.Adam(1.0, epsilon=1e-12)) for _ in range(2))

    @tf.function
    def step():
        gradient = tf.cast(hvd.rank() + 1, tf.float32)
        first.apply_gradients([(gradient * tf.ones((2, 2)), one)])
        second.apply_gradients([(-gradient * tf.ones((3, 2)), two)])

    for _ in range(3):
        step()
    assert_same_everywhere([one.numpy(), two.numpy()])
    assert float(tf.reduce_max(one)) < 0 < float(tf.reduce_min(two))


@check
def a_rank_that_made_other_models_before_does_not_stall():
    if hvd.rank() == 0:
        fit(Opt.SGD(0.1), X, Y, batch=BATCH)
    assert_averaged(fit_together(hvd.DistributedOptimizer(Opt.SGD(0.1))))


@check
def what_could_not_average_raises():
    class Around(Opt.SGD):
        def apply_gradients(self, grads_and_vars):
            for gradient, variable in grads_and_vars:
                variable.assign_sub(gradient)

    class Unmakeable(Opt.SGD):
        def __init__(self, needed, **kwargs):
            super().__init__(**kwargs)

    pair = [(tf.ones(1), keras.Variable(np.zeros(1, "float32")))]
    wrap = hvd.DistributedOptimizer
    raises(RuntimeError, "does not call apply()", wrap(Around(0.1)).apply_gradients, pair)
    raises(TypeError, "get_config()", wrap, Unmakeable(1))
    raises(ValueError, "already", wrap, wrap(Opt.SGD(0.1)))
    raises(ValueError, "already", wrap, Opt.LossScaleOptimizer(wrap(Opt.SGD(0.1))))
    raises(TypeError, "optimizer object of Keras", wrap, "sgd")
    raises(ValueError, "op is 17", wrap, Opt.SGD(0.1), op=17)
    raises(ValueError, "op=hvd.Average", wrap, Opt.SGD(0.1), op=hvd.Sum, gradient_predivide_factor=2.0)
    raises(ValueError, "groups must be", wrap, Opt.SGD(0.1), groups=-1)
    raises(ValueError, "must be 1 or more", wrap, Opt.SGD(0.1), backward_passes_per_step=0)
    raises(TypeError, "Leave the argument out", wrap(Opt.SGD(0.1)).apply_gradients, pair, skip_aggregation=True)
    raises(AttributeError, "tf.GradientTape", lambda: wrap(Opt.SGD(0.1)).minimize)
    raises(RuntimeError, "none of Horovod's settings", type(wrap(Opt.SGD(0.1)))(0.1).apply_gradients, pair)
    raises(TypeError, "would be one that does not average", copy.deepcopy, wrap(Opt.SGD(0.1)))
    raises(TypeError, "unexpected", wrap, Opt.SGD(0.1), nonsense=1)


if __name__ == "__main__":
    main(hvd, process_sets=[FIRST_RANK])
