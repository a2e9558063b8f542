"""Horovod as part of an environment: its wheel, compiled once for each TensorFlow, Python and MPI, and kept."""
