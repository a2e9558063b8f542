"""Runs the checks of one script on every rank, and prints one line of JSON for each check on rank 0."""

import json
import os
import sys
import time
import traceback

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

CHECKS = {}


def check(function):
    """Registers a check: it runs on every rank at once and raises where something is wrong."""
    CHECKS[function.__name__] = function
    return function


def main(hvd, **arguments):
    hvd.init(**arguments)
    import horovod.tensorflow as core
    import keras

    for name, function in CHECKS.items():
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        keras.utils.set_random_seed(7 + core.rank())
        began = time.monotonic()
        try:
            function()
            error = ""
        except Exception:  # whatever it is, it is the check's outcome
            error = f"rank {core.rank()}: {traceback.format_exc(limit=-8)}"
        errors = [each for each in core.allgather_object(error, name="harness") if each]
        if core.rank() == 0:
            print(
                json.dumps({"check": name, "errors": errors, "seconds": round(time.monotonic() - began, 1)}), flush=True
            )


def on_every_rank(value):
    import horovod.tensorflow as core

    return core.allgather_object(value, name="on_every_rank")


def assert_same_everywhere(arrays):
    """Bit for bit."""
    states = on_every_rank([np.asarray(array).tobytes() for array in arrays])
    assert all(state == states[0] for state in states), "the ranks differ"


def assert_differ(arrays):
    states = on_every_rank([np.asarray(array).tobytes() for array in arrays])
    assert any(state != states[0] for state in states), "the ranks are the same"


def assert_close(left, right, tolerance=2e-6):
    assert len(left) == len(right), (len(left), len(right))
    for a, b in zip(left, right, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=tolerance, rtol=1e-4)


def raises(kind, words, function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except kind as error:
        if words in str(error):
            return
        raise
    raise AssertionError(f"no {kind.__name__} with {words!r}")


#: What all ranks train on together: 4 steps of 8 examples. Each rank takes its half of every step.
STEPS, BATCH = 4, 8
_random = np.random.default_rng(3)
X = _random.normal(size=(STEPS, BATCH, 3)).astype("float32")
Y = (X.sum(-1, keepdims=True) + _random.normal(size=(STEPS, BATCH, 1))).astype("float32")


def half(rank=None):
    import horovod.tensorflow as core

    rank = core.rank() if rank is None else rank
    part = slice(rank * BATCH // 2, (rank + 1) * BATCH // 2)
    return X[:, part], Y[:, part]


def flat(x, y):
    return x.reshape(-1, 3), y.reshape(-1, 1)


def make_model(seed=1):
    import keras

    initial = keras.initializers.RandomNormal(seed=seed)
    return keras.Sequential(
        [
            keras.layers.Input((3,)),
            keras.layers.Dense(4, activation="tanh", kernel_initializer=initial),
            keras.layers.Dense(1, kernel_initializer=initial),
        ]
    )


def fit(optimizer, x, y, *, batch, model=None, epochs=1, callbacks=(), **compile_arguments):
    import keras

    model = model or make_model()
    model.compile(optimizer=optimizer, loss=keras.losses.MeanSquaredError(), **compile_arguments)
    model.fit(*flat(x, y), batch_size=batch, shuffle=False, verbose=0, epochs=epochs, callbacks=list(callbacks))
    return model


def fit_alone(optimizer, **arguments):
    """What one process without Horovod makes of all examples of every step."""
    return fit(optimizer, X, Y, batch=BATCH, **arguments)


def fit_together(optimizer, **arguments):
    return fit(optimizer, *half(), batch=BATCH // 2, **arguments)


def steps(optimizer, x, y, *, model=None, eager=False, tape=None):
    """A loop of one's own around ``apply_gradients``; ``tape`` wraps the tape."""
    import tensorflow as tf

    model = model or make_model()

    def step(inputs, targets):
        with tf.GradientTape() as recorded:
            loss = tf.reduce_mean(tf.square(model(inputs, training=True) - targets))
        if tape is not None:
            recorded = tape(recorded)
        gradients = recorded.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    run = step if eager else tf.function(step)
    for inputs, targets in zip(x, y, strict=True):
        run(tf.constant(inputs), tf.constant(targets))
    return model
