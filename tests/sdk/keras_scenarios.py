"""Trains small models in many ways; run by ``test_keras_hook.py`` in a Python with TensorFlow.

``python keras_scenarios.py keras|tf_keras`` prints, as its last line, JSON: for every scenario what it saw and which
lines of the points file are its own.
"""

import copy
import importlib
import inspect
import json
import os
import pickle
import sys
import time

import numpy

keras = importlib.import_module(sys.argv[1])
POINTS = os.environ["TRAINHOUSE_POINTS"]
x = numpy.random.default_rng(0).random((256, 4), dtype="float32")
y = (x.sum(axis=1) > 2).astype("float32")
results = {}


def lines():
    return sum(1 for _ in open(POINTS, "rb")) if os.path.exists(POINTS) else 0


def scenario(act):
    before = lines()
    seen = act()
    results[act.__name__] = {"lines": [before, lines()], "seen": seen}


def model(kind=keras.Model, **compile_options):
    inputs = keras.Input((4,))
    made = kind(inputs, keras.layers.Dense(1, activation="sigmoid")(inputs))
    made.compile("adam", "binary_crossentropy", metrics=["accuracy"], **compile_options)
    return made


class Counter(keras.callbacks.Callback):
    batches = 0
    epochs = 0

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1


def plain():
    history = model().fit(x, y, epochs=3, validation_split=0.25, verbose=0)
    return {"keys": sorted(history.history), "loss": history.history["loss"]}


def second():
    model().fit(x, y, epochs=2, verbose=2)


def continued():
    model().fit(x, y, epochs=7, initial_epoch=5, verbose=0)


def own_train_step():
    class Own(keras.Model):
        def train_step(self, data):
            return {
                **super().train_step(data),
                "mine": keras.backend.constant(2.5) if sys.argv[1] == "tf_keras" else 2.5,
            }

    model(Own).fit(x, y, epochs=1, verbose=0)


def own_fit():
    class Own(keras.Model):
        def fit(self, *args, **kwargs):
            return super().fit(*args, **kwargs)

    model(Own).fit(x, y, epochs=2, verbose=0)


def callbacks_kept():
    counter = Counter()
    given_list, given_tuple = [counter], (counter,)
    made = model()
    made.fit(x, y, 32, 1, 0, given_list)
    made.fit(x, y, batch_size=32, epochs=1, verbose=0, callbacks=given_tuple)
    container = keras.callbacks.CallbackList([counter], model=made, add_history=True, epochs=1, steps=8)
    made.fit(x, y, batch_size=32, epochs=1, verbose=0, callbacks=container)
    made.fit(x, y, batch_size=32, epochs=1, verbose=0, callbacks=container)
    own = [type(one).__name__ for one in container.callbacks]
    return {
        "list": len(given_list),
        "tuple": len(given_tuple),
        "batches": counter.batches,
        "epochs": counter.epochs,
        "ours_in_container": own.count("TrainhouseMetrics"),
    }


def nested():
    class Inner(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            model().fit(x, y, epochs=1, verbose=0)
            self.model.evaluate(x, y, verbose=0)

    model().fit(x, y, epochs=1, verbose=0, callbacks=[Inner()])


def mistakes_stay_the_scripts():
    try:
        model().fit(x, y, nonsense=1)
    except TypeError as error:
        message = str(error)

    class Cut(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyError("cut")

    try:
        model().fit(x, y, verbose=0, callbacks=[Cut()])
    except KeyError as error:
        return {"message": message, "cut": str(error)}


def after_the_cut():
    model().fit(x, y, epochs=1, verbose=0)


def stopped_early():
    stop = keras.callbacks.EarlyStopping("loss", patience=0, min_delta=1e9)
    model().fit(x, y, epochs=50, verbose=0, callbacks=[stop])


def other_rank():
    os.environ["TRAINHOUSE_RANK"] = "1"
    model().fit(x, y, epochs=1, verbose=0)
    os.environ["TRAINHOUSE_RANK"] = "0"


def several_steps_at_once():
    model(steps_per_execution=4).fit(x, y, batch_size=32, epochs=1, verbose=0)


def slow_batches():
    class Slow(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            time.sleep(0.15)

    model().fit(x, y, batch_size=16, epochs=1, verbose=0, callbacks=[Slow()])


def not_a_number():
    made = model()
    made.fit(x, y * numpy.nan, epochs=1, verbose=0)


def models_unaffected():
    made = model()
    made.fit(x, y, epochs=1, verbose=0)
    made.save("model.keras")
    again = keras.models.load_model("model.keras")
    difference = float(abs(again.predict(x, verbose=0) - made.predict(x, verbose=0)).max())
    copies = [type(copy.deepcopy(made)).__name__]
    if sys.argv[1] == "keras":
        copies.append(type(pickle.loads(pickle.dumps(made))).__name__)
    return {
        "difference": difference,
        "copies": copies,
        "name": type(made).fit.__name__,
        "signature": list(inspect.signature(type(made).fit).parameters)[:4],
    }


def our_own_failure():
    import trainhouse.keras_metrics as keras_metrics

    keras_metrics.numbers = lambda logs: 1 / 0
    history = model().fit(x, y, epochs=3, verbose=0)
    return {"epochs": len(history.history["loss"])}


for act in (
    plain,
    second,
    continued,
    own_train_step,
    own_fit,
    callbacks_kept,
    nested,
    mistakes_stay_the_scripts,
    after_the_cut,
    stopped_early,
    other_rank,
    several_steps_at_once,
    slow_batches,
    not_a_number,
    models_unaffected,
    our_own_failure,
):
    scenario(act)
print(json.dumps(results))
