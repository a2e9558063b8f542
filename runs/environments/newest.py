"""Which TensorFlow a run gets that names none: the newest on offer that a Python on the machine runs."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

from packaging.version import InvalidVersion, Version

from compute.backends.base import ComputeBackend
from runs.environments.catalogue import Release, known, releases
from runs.environments.horovod.wanted import recipe_found
from runs.environments.interpreters import Interpreter, interpreter_choose
from runs.errors import EnvironmentFailed

#: How long a form goes by the Pythons that were found.
REMEMBERED_S = 60.0
_MOST_REMEMBERED = 20

_lock = threading.Lock()
_remembered: dict[tuple[object, ...], tuple[Newest | None, float]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """A release with the Python that it gets."""

    release: Release
    interpreter: Interpreter


def newest_release(backend: ComputeBackend, *, horovod: bool = False) -> Newest:
    """The newest release with a usable Python, and with a Horovod where ``horovod`` is wanted. Tries Pythons out, which
    takes a moment. Raises EnvironmentFailed when none is on offer, and with what the newest one needs when no Python
    fits any."""
    on_offer = [release for release in releases() if not horovod or recipe_found(release.version)]
    if not on_offer:
        raise EnvironmentFailed(nothing_offered())
    refusal: EnvironmentFailed | None = None
    for release in on_offer:
        try:
            interpreter = interpreter_choose(backend, release.pythons, wanted_by=f"TensorFlow {release.version}")
        except EnvironmentFailed as error:
            refusal = refusal or error
        else:
            return Newest(release=release, interpreter=interpreter)
    raise refusal or EnvironmentFailed(nothing_offered())


def newest_remembered(backend: ComputeBackend, *, horovod: bool = False) -> Newest | None:
    """As ``newest_release``, but up to a minute old: for what a form shows. None where there is none."""
    key = (str(backend.environment_root()), releases(), horovod)
    with _lock:
        found, until = _remembered.get(key, (None, 0.0))
        if time.monotonic() < until:
            return found
    try:
        found = newest_release(backend, horovod=horovod)
    except EnvironmentFailed:
        found = None
    with _lock:
        if len(_remembered) >= _MOST_REMEMBERED:
            _remembered.clear()
        _remembered[key] = (found, time.monotonic() + REMEMBERED_S)
    return found


def version_remarks(canonical: dict[str, Any]) -> list[str]:
    """For a run that named no version and has this environment: why newer versions were passed over, in at most one
    sentence. None where the run's packages pin TensorFlow themselves."""
    framework, python = canonical.get("framework"), canonical.get("python")
    if not framework or not python or framework["pinned_by"] != "platform":
        return []
    minor = ".".join(python["version"].split(".")[:2])
    sentence = why_not_newer(framework["version"], minor, horovod="horovod" in canonical)
    return [sentence] if sentence else []


def why_not_newer(version: str, minor: str, *, horovod: bool = False) -> str:
    """Why a run that named no version has ``version``, on Python ``minor``, where newer ones are on offer; empty where
    that is the newest, or a newer one would do as well."""
    newer = [release for release in releases() if _is_newer(release.version, version)]
    fitting = [release for release in newer if not horovod or recipe_found(release.version)]
    if not newer or any(minor in release.pythons for release in fitting):
        return ""
    chosen = f"TensorFlow {version} is the newest that a Python on the machine runs (Python {minor})"
    if not fitting:
        return f"{chosen} and that has a Horovod here; TensorFlow {newer[0].version} has none."
    needed = fitting[0]
    return (
        f"{chosen}. TensorFlow {needed.version} needs Python {' or '.join(needed.pythons)}: install one for everybody "
        "to have it."
    )


def nothing_offered() -> str:
    """That no version can be chosen, as a sentence."""
    off = ", ".join(release.version for release in known())
    return (
        f"No TensorFlow version is on offer: an administrator has switched all of them off ({off}). Ask one to switch "
        "one on again, or pin TensorFlow among the packages, such as tensorflow==2.21.0."
    )


def _is_newer(version: str, than: str) -> bool:
    try:
        return Version(version) > Version(than)
    except InvalidVersion:
        return False
