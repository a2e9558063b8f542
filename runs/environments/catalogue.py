"""The TensorFlow versions on offer, and what each of them needs. The data is ``catalogue.json``, newest first.

A release is listed when its CPU and GPU requirements resolve on Linux x86_64 for every Python of its row, and a small
Keras model trained, saved and wrote a summary with it. ``added`` are packages that the platform adds: TensorFlow 2.21
no longer depends on tensorboard, without which ``tf.summary`` fails. ``horovod`` is the recipe of its Horovod wheel:
the release and the edits of its source (``runs.environments.horovod.recipe``). ``limits`` are sentences about the minor
versions from ``since`` to ``until``, both included and either left out.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_DATA = Path(__file__).with_name("catalogue.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class HorovodRecipe:
    """Which Horovod is built for a release, and by which edits of its source."""

    version: str
    edits: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One row. ``pythons`` are minor versions such as ``3.11``; ``keras`` is the generation that ``tf.keras`` is."""

    version: str
    pythons: tuple[str, ...]
    keras: int
    added: tuple[str, ...]
    limits: tuple[str, ...] = ()
    horovod: HorovodRecipe | None = None

    def requirement(self, *, gpu: bool, machine: str) -> str:
        """The framework as a package requirement. There are separate, smaller CPU wheels for x86_64 alone."""
        if gpu:
            return f"tensorflow[and-cuda]=={self.version}"
        name = "tensorflow-cpu" if machine == "x86_64" else "tensorflow"
        return f"{name}=={self.version}"


def versions() -> tuple[str, ...]:
    """All versions, newest first."""
    return tuple(release.version for release in releases())


def default_version(pythons: Collection[str] | None = None) -> str:
    """The version for those who name none: the newest, or the newest that runs on one of ``pythons`` (minor versions;
    empty when nothing does)."""
    for release in releases():
        if pythons is None or not set(pythons).isdisjoint(release.pythons):
            return release.version
    return ""


def find(version: str) -> Release | None:
    """The release of exactly this version."""
    return next((release for release in releases() if release.version == version), None)


@cache
def releases() -> tuple[Release, ...]:
    """Every row, newest first."""
    data = json.loads(_DATA.read_text())
    return tuple(
        Release(
            version=row["version"],
            pythons=tuple(row["pythons"]),
            keras=row["keras"],
            added=tuple(row["added"]),
            limits=tuple(limit["text"] for limit in data["limits"] if _applies(limit, row["version"])),
            horovod=_horovod(row.get("horovod")),
        )
        for row in data["releases"]
    )


def _horovod(row: dict[str, Any] | None) -> HorovodRecipe | None:
    return None if row is None else HorovodRecipe(version=row["version"], edits=tuple(row["edits"]))


def _applies(limit: dict[str, str], version: str) -> bool:
    since, until = limit.get("since", version), limit.get("until", version)
    return _minor(since) <= _minor(version) <= _minor(until)


def _minor(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
