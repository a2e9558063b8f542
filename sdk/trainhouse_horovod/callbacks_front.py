"""Mends ``horovod.keras.callbacks`` and ``horovod.tensorflow.keras.callbacks``: what their constructors refuse."""

from types import ModuleType
from typing import Any

import tensorflow as tf

from trainhouse_horovod.variables import is_keras_3, native


def mend(module: ModuleType) -> None:
    module.K = tf.keras.backend  # Horovod's own import takes the backend of another Keras than tf.keras'
    _mend_broadcast(module.BroadcastGlobalVariablesCallback)
    if is_keras_3(module.keras):
        module.BestModelCheckpoint = _best_model_checkpoint(module.keras.callbacks.ModelCheckpoint, module.__name__)


def _mend_broadcast(callback: type) -> None:
    construct = callback.__init__

    def __init__(self: Any, root_rank: int, device: str = "", local_variables: Any = None) -> None:
        """Broadcasts from ``root_rank`` at the start of training, all but ``local_variables``."""
        if local_variables is None:
            local_variables = []
        elif isinstance(native(local_variables), tf.Variable):
            local_variables = [local_variables]
        construct(self, root_rank, device, [native(variable) for variable in local_variables])

    callback.__init__ = __init__


def _best_model_checkpoint(base: type, module_name: str) -> type:
    class BestModelCheckpoint(base):
        """Saves the best model so far. Its ``filepath`` is set after it is made, as Horovod's estimators do."""

        def __init__(
            self,
            monitor: str = "val_loss",
            verbose: int = 0,
            save_weights_only: bool = False,
            mode: str = "auto",
            save_freq: Any = "epoch",
        ) -> None:
            super().__init__(
                filepath="best.weights.h5" if save_weights_only else "best.keras",
                monitor=monitor,
                verbose=verbose,
                save_best_only=True,
                save_weights_only=save_weights_only,
                mode=mode,
                save_freq=save_freq,
            )
            self.filepath = None

        def on_train_begin(self, logs: Any = None) -> None:
            if self.filepath is None:
                raise ValueError(
                    "BestModelCheckpoint does not know where to save. Set it before training: "
                    'checkpoint.filepath = "best.keras".'
                )
            super().on_train_begin(logs)

    BestModelCheckpoint.__module__ = module_name
    return BestModelCheckpoint
