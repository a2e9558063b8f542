"""The packages of a run: from its spec to a virtual environment that is built once and shared.

``wishes`` and ``requirements`` read what is asked for, ``catalogue`` and ``packages`` say what is installed,
``interpreters`` on which Python, ``request`` makes it one row by content, ``again`` by the lock of an earlier run,
``revisions`` resolved anew. ``build`` brings that to READY or FAILED by the steps of ``realise`` in a ``workshop``:
``resolving``, ``installing``, ``bytecode``, ``source_builds`` for packages of the source and of ``repositories``, the
rooms ``conda`` and ``horovod``. ``realised`` and ``wholeness`` look at what is on the disk, ``removal`` takes it from
there again. ``export`` writes it down for other tools; ``advice`` and ``shadows`` say what a person should know before.

``foresight`` asks the index for the packages before anything is built, and ``checker`` does so in the background.
"""

from runs.environments.advice import advice_before, advice_on
from runs.environments.again import environment_lock_problem, environment_request_locked, python_differs
from runs.environments.build import environment_build, environment_give_up, environment_is_being_built
from runs.environments.catalogue import versions, withdrawn
from runs.environments.horovod.beforehand import horovod_expectations, horovod_problems
from runs.environments.keras import keras_variables
from runs.environments.newest import newest_remembered, version_remarks
from runs.environments.realised import environment_is_intact, environment_is_there, environment_ref
from runs.environments.removal import environment_delete, environment_evict, leftovers_remove
from runs.environments.request import environment_request, environment_spec
from runs.environments.revisions import environment_of_unchanged, environment_update, revision_before, revision_newest
from runs.environments.shadows import shadow_warnings
from runs.environments.usage import environments_bytes, runs_unfinished, with_last_use
from runs.environments.wishes import wishes_of

__all__ = [
    "advice_before",
    "advice_on",
    "environment_build",
    "environment_delete",
    "environment_evict",
    "environment_give_up",
    "environment_is_being_built",
    "environment_is_intact",
    "environment_is_there",
    "environment_lock_problem",
    "environment_of_unchanged",
    "environment_ref",
    "environment_request",
    "environment_request_locked",
    "environment_spec",
    "environment_update",
    "environments_bytes",
    "horovod_expectations",
    "horovod_problems",
    "keras_variables",
    "leftovers_remove",
    "newest_remembered",
    "python_differs",
    "revision_before",
    "revision_newest",
    "runs_unfinished",
    "shadow_warnings",
    "version_remarks",
    "versions",
    "wishes_of",
    "with_last_use",
    "withdrawn",
]
