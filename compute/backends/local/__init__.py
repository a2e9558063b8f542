"""This machine as a target."""

from compute.backends.local.backend import LocalBackend

__all__ = ["LocalBackend"]
