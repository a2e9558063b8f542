"""Tapes, collectives, broadcasts and synchronised batch normalization of ``horovod.tensorflow``."""

import horovod.tensorflow as hvd
import keras
import numpy as np
import tensorflow as tf
from harness import (
    X,
    Y,
    assert_close,
    assert_differ,
    assert_same_everywhere,
    check,
    flat,
    half,
    main,
    make_model,
    on_every_rank,
    raises,
    steps,
)


@check
def a_tape_without_horovod_leaves_the_ranks_different():
    assert_differ(steps(keras.optimizers.SGD(0.1), *half()).get_weights())


@check
def a_distributed_tape_gives_the_mean_in_a_graph_and_eagerly():
    alone = steps(keras.optimizers.SGD(0.1), X, Y).get_weights()
    for eager in (False, True):
        model = steps(keras.optimizers.SGD(0.1), *half(), tape=hvd.DistributedGradientTape, eager=eager)
        assert_same_everywhere(model.get_weights())
        assert_close(model.get_weights(), alone)


@check
def every_argument_of_the_tape_gives_the_same_mean():
    alone = steps(keras.optimizers.SGD(0.1), X, Y).get_weights()
    model = make_model()
    for arguments, tolerance in (
        ({"compression": hvd.Compression.fp16}, 2e-3),
        ({"gradient_predivide_factor": 2.0, "device_dense": "/cpu:0"}, 2e-6),
        ({"groups": 2, "sparse_as_dense": True}, 2e-6),
        ({"num_groups": 1, "process_set": hvd.global_process_set}, 2e-6),
    ):
        trained = steps(
            keras.optimizers.SGD(0.1), *half(), tape=lambda tape, a=arguments: hvd.DistributedGradientTape(tape, **a)
        )
        assert_same_everywhere(trained.get_weights())
        assert_close(trained.get_weights(), alone, tolerance)
    groups = [[layer.kernel, layer.bias] for layer in model.layers]
    steps(keras.optimizers.SGD(0.1), *half(), model=model, tape=lambda t: hvd.DistributedGradientTape(t, groups=groups))
    assert_same_everywhere(model.get_weights())
    assert_close(model.get_weights(), alone)


@check
def the_tape_takes_sums_adasum_generic_names_and_any_structure():
    weight, other = keras.Variable(np.ones(2, "float32")), tf.Variable(np.ones(2, "float32"))
    for op, expected in ((hvd.Average, [1.5, 0]), (hvd.Sum, [3, 0]), (hvd.Adasum, None)):
        with hvd.DistributedGradientTape(tf.GradientTape(persistent=True), op=op) as tape:
            loss = tf.reduce_sum((hvd.rank() + 1.0) * tf.convert_to_tensor(weight)[0]) + 0.0 * tf.reduce_sum(other)
        named = tape.gradient(loss, {"a": weight, "b": other}, use_generic_names=True)
        assert_same_everywhere([named["a"]])
        if expected:
            assert_close([named["a"]], [expected])
        assert_close([tape.gradient(loss, weight)], [named["a"]])
        assert tape.gradient(loss, [keras.Variable(1.0), weight])[0] is None


@check
def a_local_source_keeps_its_gradient_and_partial_tapes_whole_layers():
    shared, local = (keras.Variable(np.ones(1, "float32")) for _ in range(2))
    for scale in (True, False):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((hvd.rank() + 1.0) * (tf.convert_to_tensor(shared) + tf.convert_to_tensor(local)))
        tape = hvd.DistributedGradientTape(tape, scale_local_gradients=scale)
        tape.register_local_source(local)
        locals_, globals_ = tape.get_local_and_global_gradients(loss, [shared, local])
        assert locals_[0][0] is local
        assert_close([globals_[0][1], locals_[0][1]], [[1.5], [(hvd.rank() + 1) / (2 if scale else 1)]])
    model = make_model()
    steps(
        keras.optimizers.SGD(0.1),
        *half(),
        model=model,
        tape=lambda tape: hvd.PartialDistributedGradientTape(tape, local_layers=[model.layers[1]]),
    )
    assert_differ(model.layers[1].get_weights())
    raises(ValueError, "layers of Keras", hvd.PartialDistributedGradientTape, tf.GradientTape(), local_layers=["x"])


@check
def collectives_take_variables_of_keras():
    variable = keras.Variable(np.full((2, 2), hvd.rank() + 1.0, "float32"))
    assert_close([hvd.allreduce(variable)], [np.full((2, 2), 1.5)])
    assert_close([hvd.allreduce(variable, op=hvd.Max, compression=hvd.Compression.fp16)], [np.full((2, 2), 2.0)])
    assert hvd.allgather(variable).shape == (4, 2)
    assert_close([hvd.broadcast(variable, root_rank=1)], [np.full((2, 2), 2.0)])
    assert_close(hvd.grouped_allreduce([variable, variable], op=hvd.Sum), [np.full((2, 2), 3.0)] * 2)
    assert hvd.grouped_allgather([variable])[0].shape == (4, 2)
    assert hvd.reducescatter(variable, op=hvd.Sum).shape == (1, 2)
    assert hvd.alltoall(variable)[0].shape[-1] == 2
    assert hvd.broadcast_object({"rank": hvd.rank()}, root_rank=1) == {"rank": 1}
    assert hvd.allgather_object(hvd.rank()) == [0, 1]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(hvd.allreduce(variable, op=hvd.Sum))
    assert_close([tape.gradient(loss, variable)], [np.full((2, 2), 2.0)])

    @tf.function
    def in_a_graph():
        return hvd.allreduce(variable)

    assert_close([in_a_graph()], [np.full((2, 2), 1.5)])


@check
def collectives_of_the_keras_fronts_take_values_and_variables():
    import horovod.keras
    import horovod.tensorflow.keras

    for front in (horovod.keras, horovod.tensorflow.keras):
        for value in (keras.Variable([hvd.rank() + 1.0]), [hvd.rank() + 1.0], tf.constant([hvd.rank() + 1.0])):
            assert_close([front.allreduce(value)], [[1.5]])
            assert_close([front.allgather(value)], [[1.0, 2.0]])
            assert_close([front.broadcast(value, 1)], [[2.0]])
        assert_close([front.reducescatter(np.full((2,), hvd.rank() + 1.0), op=hvd.Sum)], [[3.0]])
        raises(RuntimeError, "hvd.broadcast_variables", front.broadcast_global_variables, 0)


@check
def broadcast_variables_reaches_every_type_and_repeated_names():
    for inplace in (False, True):
        model = keras.Sequential(
            [keras.layers.Input((3,)), keras.layers.Dense(4), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
        )
        optimizer = keras.optimizers.Adam(0.01 * (hvd.rank() + 1))
        optimizer.build(model.trainable_variables)
        odd = [
            keras.Variable(np.full(3, hvd.rank()), dtype=dtype, trainable=False)
            for dtype in ("bfloat16", "uint32", "bool", "int8", "float64", "uint64")
        ]
        everything = [*model.variables, *optimizer.variables, *odd, tf.Variable(float(hvd.rank()))]
        assert_differ([np.asarray(v) for v in everything if "seed" not in getattr(v, "path", "")])
        hvd.broadcast_variables(everything, root_rank=1, inplace=inplace)
        assert_same_everywhere([tf.convert_to_tensor(v).numpy().astype("float64") for v in everything])
        assert float(odd[0].numpy()[0]) == 1.0
        assert abs(float(optimizer.learning_rate.numpy()) - 0.02) < 1e-6


@check
def sync_batch_normalization_has_the_statistics_of_all_ranks():
    def trained(layer, data):
        inputs = tf.constant(data)
        layer.build(inputs.shape)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.reduce_sum(tf.square(layer(inputs, training=True)) * inputs)
        return tape.gradient(loss, inputs), layer

    data = np.random.default_rng(1).normal(size=(6, 3)).astype("float32")
    mine = data[:4] if hvd.rank() == 0 else data[4:]  # of unequal size
    gradient, layer = trained(hvd.SyncBatchNormalization(momentum=0.5), mine)
    whole_gradient, whole = trained(keras.layers.BatchNormalization(momentum=0.5), data)
    assert_close([layer.moving_mean, layer.moving_variance], [whole.moving_mean, whole.moving_variance], 1e-5)
    assert_same_everywhere([layer.moving_mean.numpy(), layer.moving_variance.numpy()])
    assert gradient.shape == mine.shape
    gathered = np.concatenate(on_every_rank(gradient.numpy()))
    assert_close([gathered], [whole_gradient], 1e-4)

    raises(ValueError, "fused", hvd.SyncBatchNormalization, fused=True)
    model = keras.Sequential([keras.layers.Input((3,)), hvd.SyncBatchNormalization(), hvd.SyncBatchNormalization()])
    again = keras.Sequential.from_config(model.get_config())
    assert type(again.layers[0]) is hvd.SyncBatchNormalization
    model.compile(optimizer=hvd.DistributedOptimizer(keras.optimizers.SGD(0.1)), loss="mse")
    x, _ = flat(*half())
    model.fit(x, np.zeros_like(x), batch_size=4, verbose=0, shuffle=False)
    assert_same_everywhere(model.get_weights())


@check
def masked_batches_count_only_what_the_mask_lets_through():
    data = np.arange(12, dtype="float32").reshape(2, 3, 2) * (hvd.rank() + 1)
    mask = tf.constant([[True, True, hvd.rank() == 0], [True, False, False]])
    layer = hvd.SyncBatchNormalization(momentum=0.0)
    layer(tf.constant(data), training=True, mask=mask)
    seen = np.concatenate(on_every_rank(data[mask.numpy()]))
    assert_close([layer.moving_mean], [seen.mean(0)], 1e-4)
    assert_close([layer.moving_variance], [seen.var(0)], 1e-3)


if __name__ == "__main__":
    main(hvd)
