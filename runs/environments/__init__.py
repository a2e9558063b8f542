"""The packages of a run: from its spec to a virtual environment that is built once and shared.

``catalogue`` and ``packages`` say what is installed, ``interpreters`` on which Python, ``request`` makes it one row by
content, ``build`` realises it, ``realised`` looks at what is on the disk.
"""

from runs.environments.build import environment_build, environment_is_being_built
from runs.environments.catalogue import default_version, versions
from runs.environments.realised import environment_is_intact, environment_ref
from runs.environments.request import environment_request

__all__ = [
    "default_version",
    "environment_build",
    "environment_is_being_built",
    "environment_is_intact",
    "environment_ref",
    "environment_request",
    "versions",
]
