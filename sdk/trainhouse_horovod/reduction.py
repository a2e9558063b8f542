"""Gradients reduced over the ranks as the arguments of Horovod's wrappers say.

Horovod's own function for this groups gradients by the names of their variables. Keras 3 calls every kernel
``kernel``, so all but one gradient of a group would be lost; here a variable is its reference.
"""

import functools
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import horovod.tensorflow as hvd
import tensorflow as tf
from horovod.common.util import split_list

from trainhouse_horovod.variables import native, natives


@dataclass(frozen=True)
class ReductionSettings:
    """What Horovod's wrappers let a script say about a reduction. Equal settings share one traced function."""

    name: str
    device_dense: str
    device_sparse: str
    compression: Any
    sparse_as_dense: bool
    op: int
    gradient_predivide_factor: float
    process_set: Any

    def reduce(self, tensor: Any, **more: Any) -> Any:
        """One gradient, reduced."""
        return hvd._allreduce_cond(tensor, **self._arguments(), **more)

    def reduce_group(self, tensors: list[Any], **more: Any) -> list[Any]:
        """Dense gradients that travel together, reduced, in their order."""
        return hvd._grouped_allreduce_cond(tensors, **self._arguments(), **more)

    def size(self) -> Any:
        """How many ranks reduce: an int, or under elastic Horovod a scalar tensor, as it may change."""
        if int(os.environ.get("HOROVOD_ELASTIC", 0)):
            return hvd.size_op(process_set_id=self.process_set.process_set_id)
        return self.process_set.size()

    def _arguments(self) -> dict[str, Any]:
        # Horovod's core divides by the size for Average; the factor only splits that into before and after the sum.
        averages = self.op == hvd.Average
        return {
            "device_dense": self.device_dense,
            "device_sparse": self.device_sparse,
            "compression": self.compression,
            "op": self.op,
            "prescale_factor": 1.0 / self.gradient_predivide_factor if averages else 1.0,
            "postscale_factor": self.gradient_predivide_factor if averages else 1.0,
            "process_set": self.process_set,
        }


class GradientReduction:
    """Reduces lists of gradients; keeps the gradients of local variables on their rank.

    ``groups`` is None, a number of groups, or lists of variables. Gradients of local variables are divided by the
    number of ranks when ``scale_local_gradients`` is true, so that they weigh as an averaged one does.
    """

    def __init__(self, settings: ReductionSettings, *, groups: Any, scale_local_gradients: bool) -> None:
        self.settings = settings
        self.scale_local_gradients = scale_local_gradients
        self._groups = [[native(v).ref() for v in group] for group in groups] if isinstance(groups, list) else groups
        self._local: set[Any] = set()

    def register_local(self, variable: Any) -> None:
        """From now on the gradient of ``variable`` stays on this rank. Idempotent."""
        self._local.add(native(variable).ref())

    def is_local(self, variable: Any) -> bool:
        return native(variable).ref() in self._local

    def __call__(self, gradients: Sequence[Any], variables: Sequence[Any], generic_names: bool = False) -> list[Any]:
        """The gradients to apply, in the order given; None stays None.

        Every rank must call it as often, with gradients of the same shapes in the same order.
        """
        gradients = list(gradients)
        refs = [variable.ref() for variable in natives(variables)]
        shared = [
            index
            for index, (gradient, ref) in enumerate(zip(gradients, refs, strict=True))
            if gradient is not None and ref not in self._local
        ]
        if self.settings.sparse_as_dense:
            for index in shared:
                if isinstance(gradients[index], tf.IndexedSlices):
                    gradients[index] = tf.convert_to_tensor(gradients[index])
        groups = self._grouped([gradients[index] for index in shared], [refs[index] for index in shared])
        reduced = _reducer(self.settings)([gradients[index] for index in shared], groups, generic_names)
        for index, gradient in zip(shared, reduced, strict=True):
            gradients[index] = gradient
        if self.scale_local_gradients:
            for index, (gradient, ref) in enumerate(zip(gradients, refs, strict=True)):
                if gradient is not None and ref in self._local:
                    gradients[index] = divided(gradient, self.settings.size())
        return gradients

    def _grouped(self, gradients: list[Any], refs: list[Any]) -> tuple[tuple[int, ...], ...]:
        """The positions that travel together. A sparse gradient, and one in no group, travels alone."""
        dense = [index for index, gradient in enumerate(gradients) if not isinstance(gradient, tf.IndexedSlices)]
        if self._groups is None or not dense:
            return ()
        if not isinstance(self._groups, list):
            return tuple(tuple(group) for group in split_list(dense, self._groups) if group)
        position = {refs[index]: index for index in dense}
        groups = [tuple(position.pop(ref) for ref in group if ref in position) for group in self._groups]
        return tuple(group for group in groups if group)


def divided(gradient: Any, number: Any) -> Any:
    """``gradient / number`` for dense and sparse gradients, in the gradient's type."""
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(divided(gradient.values, number), gradient.indices, gradient.dense_shape)
    return gradient / tf.cast(number, gradient.dtype)


def group_count(num_groups: int, groups: Any) -> Any:
    """``groups``, or ``num_groups`` under its old name. ValueError unless None, a positive number or lists."""
    if num_groups != 0:
        warnings.warn("num_groups is groups now.", DeprecationWarning, stacklevel=3)
        groups = num_groups if groups is None else groups
    if groups is None or isinstance(groups, list) or (isinstance(groups, int) and groups > 0):
        return groups
    raise ValueError(f"groups must be None, a number of 1 or more, or a list of lists of variables; it is {groups!r}.")


def check_reduction(op: int, gradient_predivide_factor: float) -> None:
    """ValueError for an operation that gradients cannot be combined with, or a factor that it has no use for."""
    if op not in (hvd.Average, hvd.Sum, hvd.Adasum):
        raise ValueError(f"Gradients are combined with hvd.Average, hvd.Sum or hvd.Adasum; op is {op!r}.")
    if gradient_predivide_factor == 1.0:
        return
    if op != hvd.Average:
        raise ValueError(
            f"gradient_predivide_factor={gradient_predivide_factor} divides before and after an average, so it needs "
            "op=hvd.Average. Leave one of the two out."
        )
    if hvd.rocm_built():
        raise ValueError("gradient_predivide_factor does not work with a Horovod built for ROCm. Leave it out.")


@functools.cache
def _reducer(settings: ReductionSettings) -> Any:
    """A traced function: in eager code it lets the reductions of one step run side by side instead of in turn.

    One per settings, not per tape, because a script makes a new tape for each step.
    """

    @tf.function
    def reduce_all(gradients: list[Any], groups: tuple[tuple[int, ...], ...], generic_names: bool) -> list[Any]:
        reduced = list(gradients)
        alone = set(range(len(gradients))).difference(*groups)
        with tf.name_scope(f"{settings.name}_Allreduce"):
            for number, group in enumerate(groups):
                naming = _naming(f"grads_{number}", generic_names)
                for index, tensor in zip(
                    group, settings.reduce_group([gradients[index] for index in group], **naming), strict=True
                ):
                    reduced[index] = tensor
            for index in sorted(alone):
                reduced[index] = settings.reduce(gradients[index], **_naming(f"grad_{index}", generic_names))
        return reduced

    return reduce_all


def _naming(name: str, generic_names: bool) -> dict[str, Any]:
    return {"name": name, "ignore_name_scope": True} if generic_names else {}
