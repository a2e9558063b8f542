"""Keras 3's variables and optimizers, told from those of Keras 2, and the TensorFlow variables inside them."""

import sys
from typing import Any

import tensorflow as tf

#: The first TensorFlow whose ``tf.keras`` is Keras 3. Before it, Horovod 0.28.1 is right as it is.
FIRST_WITH_KERAS_3 = (2, 16)


def tensorflow_brings_keras_3() -> bool:
    """Whether this TensorFlow depends on Keras 3, which a run may yet leave for ``tf_keras``."""
    return tuple(int(part) for part in tf.__version__.split(".")[:2]) >= FIRST_WITH_KERAS_3


def is_keras_3(keras: Any) -> bool:
    """Whether the module ``keras`` (``keras``, ``tf.keras`` or ``tf_keras``) is Keras 3.

    Only to be asked where ``tensorflow_brings_keras_3``, as Keras 2 lived in a package of the same name before.
    """
    return getattr(getattr(keras, "Model", None), "__module__", "").startswith("keras.")


def keras_3() -> Any:
    """The module ``keras`` if it is Keras 3 and something has imported it, else None."""
    keras = sys.modules.get("keras")
    return keras if is_keras_3(keras) else None


def is_keras_3_optimizer(thing: object) -> bool:
    """Whether ``thing`` is an optimizer of Keras 3, its own or a user's."""
    keras = keras_3()
    return keras is not None and isinstance(thing, keras.optimizers.Optimizer)


def native(thing: Any) -> Any:
    """The ``tf.Variable`` inside a variable of Keras 3; anything else comes back as it is.

    Raises ValueError for a variable whose model is not built yet.
    """
    if keras_3() is None:
        return thing
    keras_variable = sys.modules["keras.src.backend"].Variable  # the base of every layer's and optimizer's variable
    if not isinstance(thing, keras_variable):
        return thing
    value = thing.value
    if not isinstance(value, tf.Variable):
        raise ValueError(
            f"The variable {thing.path} has no value yet, so Horovod cannot use it. Build the model first: "
            "model.build(input_shape), or call it once on a batch."
        )
    return value


def natives(things: Any) -> list[Any]:
    """``native`` of each of ``things``, in their order."""
    return [native(thing) for thing in things]


class CallableList(list):
    """A list that may be called: Keras 3 has ``optimizer.variables``, scripts for Horovod ``optimizer.variables()``."""

    def __call__(self) -> "CallableList":
        return self
