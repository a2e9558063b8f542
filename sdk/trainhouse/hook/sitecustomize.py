"""Runs in every Python that a run starts, because this folder comes first on its PYTHONPATH.

It hands over to the sitecustomize that would have run without it, and arranges that automatic Keras metrics are there
when, and only when, the script imports Keras. Any Python may land here, so old syntax and no import that costs.
"""

import os
import sys

# The modules that define ``Model.fit``, each with its class and the module of its ``Callback``.
_TRAINERS = {
    "keras.src.backend.tensorflow.trainer": ("TensorFlowTrainer", "keras.src.callbacks.callback"),
    "keras.src.backend.jax.trainer": ("JAXTrainer", "keras.src.callbacks.callback"),
    "keras.src.backend.torch.trainer": ("TorchTrainer", "keras.src.callbacks.callback"),
    "tf_keras.src.engine.training": ("Model", "tf_keras.src.callbacks"),
    "keras.src.engine.training": ("Model", "keras.src.callbacks"),
    "keras.engine.training": ("Model", "keras.callbacks"),
    "tensorflow.python.keras.engine.training": ("Model", "tensorflow.python.keras.callbacks"),
}


class _Finder(object):
    """Finds nothing itself: it lets the other finders find a trainer module and steps between it and its loader."""

    def find_spec(self, name, path=None, target=None):
        if name not in _TRAINERS:
            return None
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    if hasattr(spec.loader, "exec_module"):
                        spec.loader = _Loader(spec, spec.loader)
                    return spec
        return None


class _Loader(object):
    """Loads a trainer module as its own loader does, then has ``fit`` watched. Leaves no trace of itself behind."""

    def __init__(self, spec, loader):
        self._spec = spec
        self._loader = loader

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def exec_module(self, module):
        self._spec.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        try:
            from trainhouse.keras_metrics import fit_watch

            fit_watch(module, *_TRAINERS[module.__name__])
        except Exception as error:
            sys.stderr.write("trainhouse: automatic Keras metrics are off: %r\n" % (error,))


def _hand_over():
    """Runs the sitecustomize that this one stands in front of, in its own name."""
    import importlib.machinery
    import importlib.util

    here = os.path.dirname(os.path.abspath(__file__))
    path = [entry for entry in sys.path if os.path.abspath(entry) != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", path)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


if os.environ.get("TRAINHOUSE_KERAS_METRICS") == "1" and os.environ.get("TRAINHOUSE_POINTS"):
    sys.meta_path.insert(0, _Finder())
_hand_over()
