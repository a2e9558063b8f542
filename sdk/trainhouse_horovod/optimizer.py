"""``DistributedOptimizer`` for Keras 3: an optimizer of the same class that reduces gradients before it applies them.

Horovod 0.28.1 overrides ``_compute_gradients`` and ``aggregate_gradients``, which Keras 3 never calls. Every way of
Keras 3 to train, ``fit``, ``train_on_batch``, ``apply_gradients`` and a loss scale around the optimizer, ends in
``apply``; that is what is overridden here.
"""

import functools
from collections.abc import Iterable
from typing import Any

import horovod.tensorflow as hvd
import tensorflow as tf

from trainhouse_horovod.aggregation import LocalAggregation
from trainhouse_horovod.reduction import GradientReduction
from trainhouse_horovod.variables import CallableList, natives

#: What Keras 2's optimizers had and Keras 3's have not, with what to write instead.
GONE = {
    "minimize": "Compute the gradients with tf.GradientTape and give them to optimizer.apply_gradients(...).",
    "compute_gradients": "Compute the gradients with tf.GradientTape and give them to optimizer.apply_gradients(...).",
    "get_gradients": "Compute the gradients with tf.GradientTape and give them to optimizer.apply_gradients(...).",
    "get_updates": "Compute the gradients with tf.GradientTape and give them to optimizer.apply_gradients(...).",
    "get_weights": "Read optimizer.variables, or save the model.",
    "weights": "Use optimizer.variables.",
}


class HorovodState:
    """What one distributed optimizer needs beside what Keras keeps; no variable in it is saved with the model."""

    def __init__(self, reduction: GradientReduction, aggregation: LocalAggregation | None) -> None:
        self.reduction = reduction
        self.aggregation = aggregation
        self.applied = 0


class DistributedMixin:
    """Comes before the class of a Keras 3 optimizer. Instances are made by ``distributed`` alone."""

    def apply(self, grads: Iterable[Any], trainable_variables: Iterable[Any] | None = None) -> None:
        """Reduces ``grads`` over the ranks, then does what the optimizer's own class does with them."""
        state = self._horovod_state()
        grads = list(grads)
        if trainable_variables is not None:
            trainable_variables = list(trainable_variables)
        state.applied += 1
        if not grads or (trainable_variables is None and not self.built):
            super().apply(grads, trainable_variables)  # says what is missing
            return
        variables = self._trainable_variables if trainable_variables is None else trainable_variables
        if state.aggregation is None:
            self._horovod_apply(grads, variables)
            return
        if not self.built:
            self.build(variables)
            self.built = True
        state.aggregation.add(
            grads,
            variables,
            last_pass=lambda sums: self._horovod_apply(sums, variables),
            other_pass=self._horovod_count_pass,
        )

    def _horovod_apply(self, grads: list[Any], variables: list[Any]) -> None:
        reduction = self._horovod.reduction
        if reduction.settings.op != hvd.Adasum:
            super().apply(reduction(grads, variables), variables)
            return
        # Adasum combines what each rank's own step did to the weights, not the gradients.
        shared = [variable for variable in natives(variables) if not reduction.is_local(variable)]
        before = [tf.identity(variable) for variable in shared]
        super().apply(grads, variables)
        steps = [variable - start for variable, start in zip(shared, before, strict=True)]
        for variable, start, step in zip(shared, before, reduction(steps, shared), strict=True):
            variable.assign(start + step)

    def apply_gradients(self, grads_and_vars: Iterable[Any], **kwargs: Any) -> Any:
        """As in Keras 3, whose only argument is ``grads_and_vars``.

        Raises RuntimeError when the optimizer's own class takes a way around ``apply``, where nothing would be reduced.
        """
        if kwargs:
            raise TypeError(
                f"Keras 3's apply_gradients takes no {', '.join(sorted(kwargs))}: its gradients are reduced once, by "
                "Horovod, always. Leave the argument out; for gradients that are reduced already, use the optimizer "
                "without hvd.DistributedOptimizer."
            )
        state = self._horovod_state()
        before = state.applied
        result = super().apply_gradients(list(grads_and_vars))
        if state.applied == before:
            raise RuntimeError(
                f"{type(self).__name__}.apply_gradients does not call apply(), so Horovod could not average its "
                "gradients. Move its own code into apply(grads, trainable_variables) or update_step(), or average with "
                "hvd.DistributedGradientTape and use the optimizer as it is."
            )
        return result

    def register_local_var(self, var: Any) -> None:
        """The gradient of ``var`` stays on this rank from now on."""
        self._horovod_state().reduction.register_local(var)

    @property
    def process_set(self) -> Any:
        return self._horovod_state().reduction.settings.process_set

    @property
    def variables(self) -> CallableList:
        return CallableList(super().variables)

    @property
    def lr(self) -> Any:
        """The learning rate under its name of Keras 2."""
        return self.learning_rate

    @lr.setter
    def lr(self, learning_rate: Any) -> None:
        self.learning_rate = learning_rate

    def __getattr__(self, name: str) -> Any:
        if name in GONE:
            raise AttributeError(f"Optimizers of Keras 3 have no {name}. {GONE[name]}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __reduce__(self) -> Any:
        raise TypeError(
            f"A pickle or a copy of this {type(self).__name__} would be one that does not average. Copy the optimizer "
            "itself and give the copy to hvd.DistributedOptimizer."
        )

    def _horovod_state(self) -> HorovodState:
        if "_horovod" not in vars(self):
            raise RuntimeError(
                f"This {type(self).__name__} was made from the class of a distributed optimizer and has none of "
                "Horovod's settings. Make the optimizer from its own class and wrap it: hvd.DistributedOptimizer(...)."
            )
        return self._horovod

    def _horovod_count_pass(self) -> None:
        # Horovod counts every pass. Keras's own accumulation counts on being called for each of its steps alone.
        counting = getattr(self, "inner_optimizer", self)
        if not getattr(counting, "gradient_accumulation_steps", None):  # Keras 3.0 has none
            counting.iterations.assign_add(1)


def is_distributed(optimizer: Any) -> bool:
    """Whether ``optimizer`` reduces its gradients, itself or by one that it wraps or holds."""
    if isinstance(optimizer, DistributedMixin):
        return True
    inner = [getattr(optimizer, "inner_optimizer", None), *getattr(optimizer, "_inner_optimizers", ())]
    return any(is_distributed(each) for each in inner if each is not None)


def distributed(optimizer: Any, reduction: GradientReduction, *, passes: int, average_passes: bool) -> Any:
    """A distributed copy of ``optimizer``: its class, its settings, and if it is built its slots.

    Raises ValueError when the optimizer is distributed already, TypeError when its class cannot be made from its own
    ``get_config()``.
    """
    if is_distributed(optimizer):
        raise ValueError(
            f"This {type(optimizer).__name__} averages by Horovod already; wrapping it again would reduce its "
            "gradients twice. Give hvd.DistributedOptimizer the optimizer itself."
        )
    copy = _copied(optimizer, distributed_class(type(optimizer)))
    aggregation = None
    if passes != 1:
        aggregation = LocalAggregation(
            passes, average=average_passes, sparse_as_dense=reduction.settings.sparse_as_dense
        )
    object.__setattr__(copy, "_horovod", HorovodState(reduction, aggregation))
    return copy


@functools.cache
def distributed_class(base: type) -> type:
    """``base`` with the mixin before it, under the same name and saved under the same name.

    A model saved with it loads where there is no Horovod, with an optimizer of the class ``base``.
    """
    from keras.src import api_export
    from keras.src.saving import object_registration

    described = {name: getattr(base, name) for name in ("__module__", "__qualname__", "__doc__")}
    cls = type(base.__name__, (DistributedMixin, base), described)
    for names in (api_export.REGISTERED_OBJS_TO_NAMES, object_registration.GLOBAL_CUSTOM_NAMES):
        if base in names:
            names[cls] = names[base]
    return cls


def _copied(optimizer: Any, cls: type) -> Any:
    """An instance of ``cls`` with the settings of ``optimizer``, and its slots if it is built."""
    try:
        config = optimizer.get_config()
        if "inner_optimizer" in config:
            inner = optimizer.inner_optimizer
            copy = cls(_copied(inner, type(inner)), **{key: config[key] for key in config if key != "inner_optimizer"})
        else:
            if not hasattr(optimizer._learning_rate, "assign"):
                config["learning_rate"] = optimizer._learning_rate  # a schedule or a function, as it is
            copy = cls.from_config(config)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise TypeError(
            f"Horovod makes its optimizer from the settings of yours, and {type(optimizer).__name__} cannot be made "
            f"from its get_config(): {error}. Let get_config() return every argument of __init__."
        ) from error
    for name, value in vars(optimizer).items():  # what no argument of __init__ says, as exclude_from_weight_decay()
        if name not in vars(copy) and not name.startswith(("_self_", "_obj_reference")):
            object.__setattr__(copy, name, value)
    variables = list(getattr(optimizer, "inner_optimizer", optimizer)._trainable_variables)
    if variables:  # an optimizer from an .h5 file says that it is built, and is not
        if not copy.built:
            copy.build(variables)
            copy.built = True
        for target, source in zip(copy.variables, optimizer.variables, strict=True):
            target.assign(source)
    return copy
