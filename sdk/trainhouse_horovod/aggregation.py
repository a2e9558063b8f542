"""``backward_passes_per_step``: gradients summed on their rank over several passes, then reduced and applied once."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from trainhouse_horovod.variables import native


class LocalAggregation:
    """The sums of one optimizer.

    They are kept apart from the optimizer's own variables, so that a saved model holds what the same optimizer without
    Horovod would save. ``average`` divides each sum by ``passes``.
    """

    def __init__(self, passes: int, *, average: bool, sparse_as_dense: bool) -> None:
        if passes < 1:
            raise ValueError(f"backward_passes_per_step must be 1 or more; it is {passes}.")
        self.passes = passes
        self._average = average
        self._sparse_as_dense = sparse_as_dense
        self._sums: dict[Any, tf.Variable] = {}
        self._done: tf.Variable | None = None

    def add(
        self,
        gradients: Sequence[Any],
        variables: Sequence[Any],
        *,
        last_pass: Callable[[list[Any]], None],
        other_pass: Callable[[], None],
    ) -> None:
        """Adds one pass. Calls ``last_pass(sums)`` when it completes a step and starts anew, else ``other_pass()``."""
        if self._done is None:
            with tf.init_scope():
                self._done = tf.Variable(0, dtype=tf.int64, trainable=False, name="backward_passes")
        sums = [
            None if gradient is None else self._sum(variable)
            for gradient, variable in zip(gradients, variables, strict=True)
        ]
        for total, gradient in zip(sums, gradients, strict=True):
            if total is not None:
                total.assign_add(tf.cast(self._dense(gradient), total.dtype))
        done = self._done.assign_add(1)

        def finish() -> tf.Tensor:
            divisor = self.passes if self._average else 1
            last_pass([None if total is None else total / tf.cast(divisor, total.dtype) for total in sums])
            for total in sums:
                if total is not None:
                    total.assign(tf.zeros_like(total))
            self._done.assign(0)
            return tf.constant(True)

        def wait() -> tf.Tensor:
            other_pass()
            return tf.constant(False)

        tf.cond(tf.greater_equal(done, self.passes), finish, wait)

    def _sum(self, variable: Any) -> tf.Variable:
        ref = native(variable).ref()
        if ref not in self._sums:
            with tf.init_scope():
                zeros = tf.zeros(ref.deref().shape, ref.deref().dtype)
                self._sums[ref] = tf.Variable(zeros, trainable=False, name="aggregated_gradient")
        return self._sums[ref]

    def _dense(self, gradient: Any) -> Any:
        if not isinstance(gradient, tf.IndexedSlices):
            return gradient
        if not self._sparse_as_dense:
            raise ValueError(
                f"backward_passes_per_step={self.passes} cannot sum the sparse gradient of an embedding. Give "
                "sparse_as_dense=True to DistributedOptimizer, or leave backward_passes_per_step at 1."
            )
        return tf.convert_to_tensor(gradient)
