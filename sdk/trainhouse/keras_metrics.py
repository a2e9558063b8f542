"""Automatic Keras metrics: ``Model.fit`` reports to the run without a line in the script.

``hook/sitecustomize.py`` calls ``fit_watch`` when the script imports Keras. Per epoch every value in Keras' logs is
reported under its own name; per batch, at most once a second, under ``batch/<name>``, with how far the training is.
Nothing that goes wrong here reaches the script: it is said once on stderr, and the metrics stop.
"""

import functools
import inspect
import os
import sys
import threading
import time

from trainhouse.records import RecordFile

_BATCH_EVERY_S = 1.0
_RANK_VARIABLES = ("TRAINHOUSE_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "HOROVOD_RANK")


def fit_watch(module, class_name, callbacks_module):
    """Wraps ``fit`` of the class ``class_name`` in ``module`` so that a callback of ours takes part.

    ``callbacks_module`` names the module with the ``Callback`` that this Keras wants; it is looked up on the first fit.
    """
    owner = getattr(module, class_name)
    fit = owner.fit
    watch = _Watch(inspect.signature(fit), callbacks_module, _progress_at(os.environ["TRAINHOUSE_POINTS"]))

    @functools.wraps(fit)
    def fit_watched(self, *args, **kwargs):
        watched = watch.enter(self, args, kwargs)
        if watched is None:
            return fit(self, *args, **kwargs)
        args, kwargs = watched
        try:
            return fit(self, *args, **kwargs)
        finally:
            watch.leave()

    owner.fit = fit_watched


class _Watch:
    """Adds the callback to the arguments of ``fit``. A fit inside a fit, or beside one in another thread, is left
    alone: its numbers would mix with the first one's."""

    _busy = threading.Lock()

    def __init__(self, signature, callbacks_module, progress):
        self._signature = signature
        self._callbacks_module = callbacks_module
        self._progress = progress
        self._callback = None

    def enter(self, model, args, kwargs):
        """The arguments to call ``fit`` with, or None when this call is not to be watched."""
        if not _is_first_rank() or not self._busy.acquire(blocking=False):
            return None
        try:
            watched = self._with_callback(model, args, kwargs)
        except Exception as error:
            _give_up(error)
            watched = None
        if watched is None:
            self._busy.release()
        return watched

    def leave(self):
        self._busy.release()

    def _with_callback(self, model, args, kwargs):
        try:
            bound = self._signature.bind(model, *args, **kwargs)
        except TypeError:
            return None  # fit itself says it better
        base = sys.modules[self._callbacks_module].Callback
        if self._callback is None:
            self._callback = _callback_class(base)(self._progress)
        given = bound.arguments.get("callbacks")
        if isinstance(getattr(given, "callbacks", None), list):  # a CallbackList, which stays the script's own
            if self._callback not in given.callbacks:
                given.callbacks.append(self._callback)
            self._callback.set_model(model)
            self._callback.set_params(getattr(given, "params", None) or {"epochs": bound.arguments.get("epochs", 1)})
        elif given is None:
            bound.arguments["callbacks"] = [self._callback]
        elif isinstance(given, (list, tuple)):
            bound.arguments["callbacks"] = [*given, self._callback]
        elif isinstance(given, base):
            bound.arguments["callbacks"] = [given, self._callback]
        else:
            return None
        return bound.args[1:], bound.kwargs


@functools.lru_cache(maxsize=None)
def _progress_at(points):
    return _Progress(points)


class _Progress:
    """What has been reported so far in this process, over all fits.

    Epoch steps count from 1 and go on in a second fit, unless the script itself continues with ``initial_epoch``.
    Batch steps count from 1 over all fits.
    """

    def __init__(self, points):
        self._file = RecordFile(points)
        self._lock = threading.Lock()  # Keras may call from threads of its own
        self._epochs_reported = 0
        self._batches_before = 0
        self._batch = -1
        self.fit_begin({})

    def fit_begin(self, params):
        self._batches_before += self._batch + 1  # of an epoch that an exception has cut short
        self._epochs = params.get("epochs")
        self._batches = params.get("steps")
        self._offset = None
        self._epoch = 0
        self._batch = -1
        self._due_at = 0.0
        self._epoch_durations_s = []

    def epoch_begin(self, epoch):
        if self._offset is None:
            self._offset = max(0, self._epochs_reported - epoch)
        self._epoch = epoch
        self._batch = -1
        self._epoch_begun_at = time.monotonic()
        self._first_batch_at = None

    def batch_end(self, batch, logs):
        """Called for every batch: two comparisons, and a report once a second."""
        if batch > self._batch:
            self._batch = batch
        now = time.monotonic()
        if now < self._due_at and self._first_batch_at is not None:
            return
        with self._lock:
            if self._first_batch_at is None:
                self._first_batch_at, self._first_batch = now, batch
            if now < self._due_at:
                return
            self._due_at = now + _BATCH_EVERY_S
        step = self._batches_before + self._batch + 1
        self._report([("batch/" + name, step, value) for name, value in numbers(logs)], self._eta_s(now))

    def epoch_end(self, logs):
        now = time.monotonic()
        step = self._offset + self._epoch + 1
        self._epochs_reported = max(self._epochs_reported, step)
        self._batches_before += self._batch + 1
        if self._batch >= 0:
            self._batches = self._batch + 1
        self._epoch_durations_s.append(now - self._epoch_begun_at)
        self._report([(name, step, value) for name, value in numbers(logs)], self._eta_s(now, epoch_over=True))
        self._batch = -1

    def fit_end(self):
        """Says that nothing is left to wait for, also when the fit has stopped early."""
        self._batch = (self._batches or 0) - 1
        self._report([], 0.0)
        self._batch = -1

    def _report(self, values, eta_s):
        wall = time.time()
        records = []
        if values:
            records.append({"k": "points", "p": [[name, step, wall, value] for name, step, value in values]})
        records.append(
            {
                "k": "progress",
                "epoch": self._epoch + 1,
                "epochs": self._epochs,
                "batch": self._batch + 1,
                "batches": self._batches,
                "eta_s": None if eta_s is None else round(eta_s, 1),
            }
        )
        self._file.write(*records)

    def _eta_s(self, now, epoch_over=False):
        """Seconds to the end of this fit, None while there is nothing to judge by. The first epoch, which compiles,
        counts only until there is a second."""
        if not self._epochs:
            return None
        epochs_left = max(0, self._epochs - self._epoch - 1)
        durations_s = self._epoch_durations_s[1:] or self._epoch_durations_s
        if durations_s:
            epoch_s = sum(durations_s[-5:]) / len(durations_s[-5:])
            here_s = 0.0 if epoch_over else max(0.0, epoch_s - (now - self._epoch_begun_at))
            return here_s + epochs_left * epoch_s
        batches_done = self._batch - self._first_batch
        if not self._batches or batches_done <= 0:
            return None
        batch_s = (now - self._first_batch_at) / batches_done
        return batch_s * (self._batches - self._batch - 1 + epochs_left * self._batches)


def numbers(logs):
    """``(name, float)`` of every number in Keras' logs, nested dictionaries flattened; other values are left out."""
    found = []
    for name, value in (logs or {}).items():
        if isinstance(value, dict):
            found.extend(numbers(value))
            continue
        try:
            found.append((str(name), float(value)))
        except (TypeError, ValueError):
            continue
    return found


def _callback_class(base):
    """Our callback as a subclass of the ``Callback`` of the Keras at hand."""

    class TrainhouseMetrics(base):
        # Keras 3 then keeps calling batch callbacks from its own threads instead of waiting for each.
        async_safe = True

        def __init__(self, progress):
            super().__init__()
            self._progress = progress
            self._supports_tf_logs = True  # tf_keras then does not copy every batch's logs from the device for us

        @_harmless
        def on_train_begin(self, logs=None):
            self._progress.fit_begin(self.params or {})

        @_harmless
        def on_epoch_begin(self, epoch, logs=None):
            self._progress.epoch_begin(epoch)

        @_harmless
        def on_train_batch_end(self, batch, logs=None):
            self._progress.batch_end(batch, logs)

        @_harmless
        def on_epoch_end(self, epoch, logs=None):
            logs = dict(logs or {})
            if "learning_rate" not in logs and "lr" not in logs:
                rate = _learning_rate(self.model)
                if rate is not None:
                    logs["learning_rate"] = rate
            self._progress.epoch_end(logs)

        @_harmless
        def on_train_end(self, logs=None):
            self._progress.fit_end()

    return TrainhouseMetrics


def _harmless(method):
    """``method``, whose own failure ends the metrics and never the training."""

    @functools.wraps(method)
    def tried(self, *args, **kwargs):
        if not _given_up:
            try:
                method(self, *args, **kwargs)
            except Exception as error:
                _give_up(error)

    return tried


def _learning_rate(model):
    """The optimizer's learning rate now, a schedule evaluated; None where there is no such thing."""
    try:
        optimizer = model.optimizer
        rate = optimizer.learning_rate
        if callable(rate):
            rate = rate(optimizer.iterations)
        return float(rate)
    except Exception:
        return None


def _is_first_rank():
    return all(os.environ.get(variable, "0") in ("", "0") for variable in _RANK_VARIABLES)


_given_up = []


def _give_up(error):
    if not _given_up:
        _given_up.append(error)
        sys.stderr.write("trainhouse: automatic Keras metrics are off: {!r}\n".format(error))
