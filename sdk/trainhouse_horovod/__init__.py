"""Makes Horovod 0.28.1 average gradients under Keras 3, in scripts that only ``import horovod...``.

``trainhouse_horovod.pth`` calls :func:`trainhouse_horovod.hook.install` in every interpreter of the environment; it
imports nothing but the hook. Everything else is imported when a script has imported Horovod.
"""

__version__ = "1.0"
