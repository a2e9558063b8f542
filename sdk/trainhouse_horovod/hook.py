"""Steps in when a script imports one of Horovod's modules; costs an interpreter that never does almost nothing.

Imported by a ``.pth`` file at every start of Python, so it imports ``sys`` alone. The other finders find and load
Horovod's modules; right after a module has run, the mender named in ``MENDERS`` changes what Keras 3 needs changed.
A mender that fails fails the import: a Horovod that does not average must not train.
"""

import sys

#: Horovod's modules, each with our module whose ``mend(module)`` is called once the former has run.
MENDERS = {
    "horovod.tensorflow": "trainhouse_horovod.core",
    "horovod._keras": "trainhouse_horovod.keras_layer",
    "horovod._keras.callbacks": "trainhouse_horovod.callbacks",
    "horovod.tensorflow.keras": "trainhouse_horovod.keras_front",
    "horovod.keras": "trainhouse_horovod.keras_front",
    "horovod.tensorflow.keras.callbacks": "trainhouse_horovod.callbacks_front",
    "horovod.keras.callbacks": "trainhouse_horovod.callbacks_front",
}


def install():
    """Puts the finder first on ``sys.meta_path``. Calling it again changes nothing."""
    if not any(isinstance(finder, HorovodFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, HorovodFinder())


class HorovodFinder:
    """Finds nothing itself: steps between one of Horovod's modules and the loader that the other finders found."""

    def find_spec(self, name, path=None, target=None):
        if name not in MENDERS:
            return None
        for finder in sys.meta_path:
            if isinstance(finder, HorovodFinder) or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = MendingLoader(spec, spec.loader)
                return spec
        return None


class MendingLoader:
    """Runs a module as its own loader does, then mends it. The module keeps its own loader and spec."""

    def __init__(self, spec, loader):
        self._spec = spec
        self._loader = loader

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._spec.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)

        from importlib import import_module

        from trainhouse_horovod.variables import tensorflow_brings_keras_3

        if tensorflow_brings_keras_3():
            import_module(MENDERS[module.__name__]).mend(module)
