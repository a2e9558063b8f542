"""``broadcast_variables`` for variables of Keras 3, whatever their type and however alike their names."""

from collections.abc import Iterable
from types import ModuleType
from typing import Any

import tensorflow as tf

from trainhouse_horovod.variables import native, natives

#: Types that Horovod's core carries (``horovod/tensorflow/mpi_ops.cc``). Others travel as bytes.
CARRIED = frozenset(
    {
        tf.uint8,
        tf.int8,
        tf.uint16,
        tf.int16,
        tf.int32,
        tf.int64,
        tf.float16,
        tf.float32,
        tf.float64,
        tf.bool,
    }
)


def mend(hvd: ModuleType) -> None:
    original = hvd.broadcast_variables

    def broadcast_variables(
        variables: Iterable[Any], root_rank: int, process_set: Any = hvd.global_process_set, inplace: bool = False
    ) -> Any:
        """Gives every rank of ``process_set`` the values that ``variables`` have on ``root_rank``.

        Every rank passes the same number of variables, with the same types and shapes, in the same order. ``inplace``
        saves memory and broadcasts each variable on its own.
        """
        wanted = natives(variables)
        if not tf.executing_eagerly():
            return original(wanted, root_rank, process_set=process_set, inplace=inplace)
        for variable in wanted:
            if variable.dtype not in CARRIED:
                _broadcast_bytes(hvd, variable, root_rank, process_set)
        wanted = [variable for variable in wanted if variable.dtype in CARRIED]
        if not inplace:
            return original(wanted, root_rank, process_set=process_set)
        # One call per variable: Horovod names what it broadcasts after the variable, and Keras 3 repeats names.
        for number, variable in enumerate(wanted):
            hvd.mpi_ops.broadcast_([variable], root_rank, name=f"broadcast_{number}", process_set=process_set)
        return None

    broadcast_variables.__module__ = hvd.functions.__name__
    for module in (hvd, hvd.functions, hvd.elastic):
        module.broadcast_variables = broadcast_variables


def _broadcast_bytes(hvd: ModuleType, variable: tf.Variable, root_rank: int, process_set: Any) -> None:
    """Broadcasts a variable of a type that Horovod does not carry: random states (uint32), bfloat16, float8."""
    sent = tf.bitcast(tf.reshape(native(variable), [-1]), tf.uint8)
    received = hvd.broadcast(tf.reshape(sent, [-1]), root_rank, process_set=process_set)
    values = tf.bitcast(tf.reshape(received, tf.shape(sent)), variable.dtype)
    variable.assign(tf.reshape(values, variable.shape))
