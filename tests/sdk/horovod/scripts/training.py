"""Callbacks, saved models and elastic state around ``fit``."""

import os
import pathlib
import shutil
import tempfile
import warnings

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
    on_every_rank,
    raises,
)

Opt = keras.optimizers
FRONTS = (hvd, horovod.keras)


def shared_folder():
    path = tempfile.mkdtemp() if hvd.rank() == 0 else None
    return pathlib.Path(on_every_rank(path)[0])


@check
def broadcast_callback_starts_all_ranks_from_the_root():
    for front in FRONTS:
        model = make_model(seed=10 + hvd.rank())
        assert_differ(model.get_weights())
        optimizer = front.DistributedOptimizer(Opt.SGD(0.1 * (1 + hvd.rank()), momentum=0.9))
        fit_together(optimizer, model=model, callbacks=[front.callbacks.BroadcastGlobalVariablesCallback(0)])
        assert_same_everywhere([*model.get_weights(), *(variable.numpy() for variable in optimizer.variables)])
        alone = fit_alone(Opt.SGD(0.1, momentum=0.9), model=make_model(seed=10))
        assert_close(model.get_weights(), alone.get_weights())


@check
def broadcast_callback_leaves_local_variables_and_random_states_alone():
    model = make_model(seed=10 + hvd.rank())
    local = model.layers[1].kernel
    before = local.numpy()
    callback = hvd.callbacks.BroadcastGlobalVariablesCallback(0, local_variables=local)
    fit(hvd.DistributedOptimizer(Opt.SGD(0.0)), *half(), batch=BATCH // 2, model=model, callbacks=[callback])
    assert_same_everywhere([model.layers[0].kernel.numpy()])
    assert_close([local], [before], 0)

    dropped = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dropout(0.5, seed=hvd.rank()), make_model()])
    fit_together(
        hvd.DistributedOptimizer(Opt.SGD(0.1)),
        model=dropped,
        callbacks=[hvd.callbacks.BroadcastGlobalVariablesCallback(0, "", [])],
    )
    assert_same_everywhere(dropped.get_weights())
    assert_differ([dropped.layers[0].seed_generator.state.value.numpy().astype("int64")])
    raises(ValueError, "tf.Variable", hvd.callbacks.BroadcastGlobalVariablesCallback, 0, local_variables=[1])


@check
def metric_average_callback_gives_every_rank_the_mean():
    for front in FRONTS:
        model = make_model()
        model.compile(optimizer=front.DistributedOptimizer(Opt.SGD(0.0)), loss="mse", metrics=["mae"])
        x, y = (part.reshape(-1, part.shape[-1]) for part in half())
        mine = model.evaluate(x, y, verbose=0, batch_size=4)
        history = model.fit(x, y, batch_size=4, verbose=0, callbacks=[front.callbacks.MetricAverageCallback()]).history
        mean = np.mean(on_every_rank(mine), axis=0)
        assert_close([history["loss"][0], history["mae"][0]], mean, 1e-5)
        assert isinstance(history["loss"][0], float)


@check
def warmup_reaches_the_rate_and_trains_as_one_process_with_its_schedule():
    class Schedule(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            epoch = self.epoch + batch / 4 + 1 / 4
            self.model.optimizer.learning_rate = 0.1 / 2 * (epoch / 2 + 1) if self.epoch < 2 else 0.1

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

    for front in FRONTS:
        optimizer = front.DistributedOptimizer(Opt.SGD(0.1))
        warmup = front.callbacks.LearningRateWarmupCallback(0.1, warmup_epochs=2, verbose=1)
        model = fit_together(optimizer, epochs=3, callbacks=[warmup])
        assert_same_everywhere(model.get_weights())
        assert_close([optimizer.learning_rate], [0.1])
        assert_close(model.get_weights(), fit_alone(Opt.SGD(0.1), epochs=3, callbacks=[Schedule()]).get_weights())


@check
def momentum_is_corrected_when_the_rate_changes():
    # The rule of Goyal et al. (2017): v = m * (new / old) * v - new * g for the step at which the rate changes.
    for front in FRONTS:
        weight = make_model()
        optimizer = front.DistributedOptimizer(Opt.SGD(0.1, momentum=0.9))
        callback = front.callbacks.LearningRateScheduleCallback(0.1, lambda epoch: 10.0**-epoch)
        model = fit_together(optimizer, epochs=2, callbacks=[callback], model=weight)

        plain = make_model()
        velocity = [np.zeros_like(w) for w in plain.get_weights()]
        for epoch, rate in enumerate((0.1, 0.01)):
            for number, (x, y) in enumerate(zip(X, Y, strict=True)):
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean(tf.square(plain(x) - y))
                gradients = tape.gradient(loss, plain.trainable_variables)
                factor = 0.9 * (0.1 if epoch and not number else 1.0)
                velocity = [factor * v - rate * g.numpy() for v, g in zip(velocity, gradients, strict=True)]
                plain.set_weights([w + v for w, v in zip(plain.get_weights(), velocity, strict=True)])
        assert_close(model.get_weights(), plain.get_weights(), 1e-5)


@check
def schedules_log_the_rate_and_say_what_cannot_be_corrected():
    callback = hvd.callbacks.LearningRateScheduleCallback(0.1, 0.5, start_epoch=0, end_epoch=2)
    model = make_model()
    model.compile(optimizer=hvd.DistributedOptimizer(Opt.RMSprop(0.1, momentum=0.5)), loss="mse")
    x, y = (part.reshape(-1, part.shape[-1]) for part in half())
    history = model.fit(x, y, epochs=3, verbose=0, callbacks=[callback]).history
    assert_close([history["lr"]], [[0.1, 0.05, 0.05]])

    class Heavy(Opt.Optimizer):
        momentum = 0.9

        def update_step(self, gradient, variable, learning_rate):
            self.assign_sub(variable, gradient * learning_rate)

    def train(correct):
        changing = hvd.callbacks.LearningRateScheduleCallback(0.1, lambda e: 1 - e / 2, momentum_correction=correct)
        fit_together(hvd.DistributedOptimizer(Heavy(0.1)), epochs=2, callbacks=[changing])

    raises(ValueError, "momentum_correction=False", train, True)
    train(False)
    scheduled = Opt.SGD(Opt.schedules.ExponentialDecay(0.1, 2, 0.5))
    raises(
        TypeError,
        "not settable",
        fit_together,
        hvd.DistributedOptimizer(scheduled),
        callbacks=[hvd.callbacks.LearningRateWarmupCallback(0.1)],
    )


@check
def best_model_checkpoint_saves_where_it_is_told():
    folder = shared_folder()
    for front in FRONTS:
        checkpoint = front.callbacks.BestModelCheckpoint(monitor="loss")
        wrap = front.DistributedOptimizer
        raises(ValueError, "checkpoint.filepath", fit_together, wrap(Opt.SGD(0.1)), callbacks=[checkpoint])
        checkpoint.filepath = str(folder / f"{front.__name__}.{hvd.rank()}.keras")
        fit_together(wrap(Opt.SGD(0.1)), callbacks=[checkpoint])
        assert pathlib.Path(checkpoint.filepath).is_file()


@check
def a_saved_model_loads_with_its_slots_distributed_or_plain():
    @keras.saving.register_keras_serializable(package="mine")
    class Registered(Opt.SGD):
        pass

    class Unregistered(Opt.Adam):
        pass

    folder = shared_folder()
    for front, kinds in (
        (hvd, [(lambda: Opt.Adam(0.01), [], ".keras"), (lambda: Unregistered(0.01), [Unregistered], ".keras")]),
        (horovod.keras, [(lambda: Opt.SGD(0.01), [], ".h5"), (lambda: Registered(0.01, momentum=0.9), [], ".keras")]),
    ):
        for number, (make, custom, ending) in enumerate(kinds):
            path = folder / f"{front.__name__}.{number}{ending}"
            model = fit_together(front.DistributedOptimizer(make(), backward_passes_per_step=1))
            if hvd.rank() == 0:
                model.save(path)
            on_every_rank("saved")
            plain = keras.models.load_model(path, custom_objects={cls.__name__: cls for cls in custom})
            assert type(plain.optimizer) is type(make())
            again = front.load_model(path, custom_optimizers=custom, compression=front.Compression.fp16)
            assert again.optimizer.process_set is hvd.global_process_set
            for loaded in (plain, again):
                assert_close(loaded.get_weights(), model.get_weights(), 0)
                if ending == ".keras":  # Keras 3 itself reads no slots of an .h5 file
                    assert_close(loaded.optimizer.variables, model.optimizer.variables, 0)
            x, y = (part.reshape(-1, part.shape[-1]) for part in half())
            again.fit(x, y, batch_size=4, verbose=0, shuffle=False)
            assert_same_everywhere(again.get_weights())
        raises(ValueError, "TF_USE_LEGACY_KERAS", front.load_model, path, legacy_opts=True)


@check
def a_model_saved_amid_backward_passes_loads_without_a_word():
    path = shared_folder() / "model.keras"
    model = fit_together(hvd.DistributedOptimizer(Opt.Adam(0.01), backward_passes_per_step=3))
    if hvd.rank() == 0:
        model.save(path)
    on_every_rank("saved")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = keras.models.load_model(path)
    assert_close(plain.optimizer.variables, model.optimizer.variables, 0)
    if hvd.rank() == 0:
        model.export(str(path.parent / "export"))
        assert (path.parent / "export" / "saved_model.pb").is_file()
        if "SAVED_MODEL" in os.environ:  # for a Python without Horovod
            shutil.copy(path, os.environ["SAVED_MODEL"])


@check
def keras_state_saves_restores_and_synchronises():
    for front in FRONTS:
        model = make_model(seed=20 + hvd.rank())
        model.compile(optimizer=front.DistributedOptimizer(Opt.Adam(0.01)), loss="mse")
        state = front.elastic.KerasState(model, batch=hvd.rank(), epoch=0)
        state.sync()
        assert_same_everywhere(model.get_weights())
        assert state.batch == 0
        before = [np.array(weight) for weight in [*model.get_weights(), *model.optimizer.variables]]
        state.epoch = 3
        fit_together(model.optimizer, model=model)
        state.restore()
        assert_close([*model.get_weights(), *model.optimizer.variables], before, 0)
        assert state.epoch == 0
        state.epoch = 4
        state.commit()
        state.epoch = 5
        state.restore()
        assert state.epoch == 4
    raises(ValueError, "built", hvd.elastic.KerasState, keras.Sequential([keras.layers.Dense(1)]), Opt.SGD(0.1))


@check
def elastic_callbacks_keep_the_state_up_to_date():
    for front in FRONTS:
        model = make_model()
        optimizer = front.DistributedOptimizer(Opt.SGD(0.1))
        model.compile(optimizer=optimizer, loss="mse")
        state = front.elastic.KerasState(model, batch=0, epoch=0)
        committed = count_commits(state)

        @front.elastic.run
        def train(state, front=front, model=model, optimizer=optimizer):
            callbacks = [
                front.elastic.UpdateBatchStateCallback(state),
                front.elastic.UpdateEpochStateCallback(state),
                front.elastic.CommitStateCallback(state, batches_per_commit=2),
            ]
            fit_together(optimizer, model=model, epochs=2, callbacks=callbacks)

        train(state)
        assert (state.epoch, state.batch) == (2, 0)
        assert committed == [1, 3, 0, 1, 3, 0], committed
        assert_same_everywhere(model.get_weights())


def count_commits(state):
    """The batch of every commit from now on."""
    batches, commit = [], state.commit

    def counted():
        batches.append(state.batch)
        commit()

    state.commit = counted
    return batches


@check
def tensorflow_state_takes_variables():
    variable = tf.Variable(float(hvd.rank()))
    state = horovod.tensorflow.elastic.TensorFlowState([variable], batch=0)
    state.save()
    variable.assign(7.0)
    state.restore()
    assert float(variable) == 0.0


if __name__ == "__main__":
    main(hvd)
