"""Elastic state of a Keras 3 model and its optimizer: saved, restored and broadcast."""

from types import ModuleType
from typing import Any

import horovod.tensorflow as hvd
import tensorflow as tf
from horovod.common.elastic import ObjectState

from trainhouse_horovod.variables import is_keras_3_optimizer, natives


def mend(module: ModuleType) -> None:
    """Replaces how ``TensorFlowKerasState`` of ``horovod.tensorflow.elastic`` reaches weights and slots."""
    state = module.TensorFlowKerasState
    for name, replacement in {"_save_model": _save_model, "_load_model": _load_model, "sync": _sync}.items():
        setattr(state, name, _for_keras_3(replacement, getattr(state, name)))
    module._broadcast_model = _for_optimizer(_broadcast_model, module._broadcast_model)


def _for_keras_3(replacement: Any, original: Any) -> Any:
    def method(self: Any) -> None:
        (replacement if is_keras_3_optimizer(self.optimizer) else original)(self)

    return method


def _for_optimizer(replacement: Any, original: Any) -> Any:
    def function(model: Any, optimizer: Any, backend: Any) -> None:
        if is_keras_3_optimizer(optimizer):
            replacement(model, optimizer)
        else:
            original(model, optimizer, backend)

    return function


def _state_of(model: Any, optimizer: Any) -> list[tf.Variable]:
    """Weights and slots. The random states of a rank's dropout, and its metrics, are its own."""
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    return natives([*model.weights, *optimizer.variables])


def _broadcast_model(model: Any, optimizer: Any) -> None:
    hvd.broadcast_variables(_state_of(model, optimizer), root_rank=0)


def _save_model(self: Any) -> None:
    self._saved_model_state = [tf.identity(variable) for variable in _state_of(self.model, self.optimizer)]


def _load_model(self: Any) -> None:
    for variable, saved in zip(_state_of(self.model, self.optimizer), self._saved_model_state, strict=True):
        variable.assign(saved)


def _sync(self: Any) -> None:
    _broadcast_model(self.model, self.optimizer)
    _save_model(self)
    ObjectState.sync(self)
