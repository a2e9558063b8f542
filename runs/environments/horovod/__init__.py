"""Horovod as part of an environment: its wheel, compiled once for each TensorFlow, Python and MPI, and kept.

``wanted`` says whether a run needs it and what stands against its lines, ``beforehand`` what a submission should hear,
``describing`` what of it decides an environment. ``step`` is its part of a build: ``store`` keeps the wheels by their
``key``, ``compiling`` makes one by the ``recipe``, ``beside`` packs the platform's own part. ``machine`` names what is
missing, ``operations`` decides over what tensors are reduced. ``look``, ``editor`` and ``trial`` run on the build's
side of the wall, ``making`` reads how far make is.
"""
