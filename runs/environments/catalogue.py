"""The TensorFlow versions on offer, and what each of them needs, newest first.

``catalogue.json`` has those that are shipped: a release is listed there when its CPU and GPU requirements resolve on
Linux x86_64 for every Python of its row, and a small Keras model trained, saved and wrote a summary with it. ``added``
are packages that the platform adds: TensorFlow 2.21 no longer depends on tensorboard, without which ``tf.summary``
fails. ``horovod`` is the recipe of its Horovod wheel: the release and the edits of its source
(``runs.environments.horovod.recipe``). ``limits`` are sentences about the minor versions from ``since`` to ``until``,
both included and either left out.

An administrator switches versions off and adds others (``FrameworkVersion``). That is read each time, a few rows, so
that web and workers go by the same catalogue at once.
"""

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from packaging.version import Version

from runs.models import FrameworkVersion

_DATA = Path(__file__).with_name("catalogue.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class HorovodRecipe:
    """Which Horovod is built for a release, and by which edits of its source."""

    version: str
    edits: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One row. ``pythons`` are minor versions such as ``3.11``; ``keras`` is the generation that ``tf.keras`` is.
    ``is_offered`` is False for one that an administrator has switched off."""

    version: str
    pythons: tuple[str, ...]
    keras: int
    added: tuple[str, ...]
    limits: tuple[str, ...] = ()
    horovod: HorovodRecipe | None = None
    is_shipped: bool = True
    is_offered: bool = True

    def requirement(self, *, gpu: bool, machine: str) -> str:
        """The framework as a package requirement. There are separate, smaller CPU wheels for x86_64 alone."""
        if gpu:
            return f"tensorflow[and-cuda]=={self.version}"
        name = "tensorflow-cpu" if machine == "x86_64" else "tensorflow"
        return f"{name}=={self.version}"


def versions() -> tuple[str, ...]:
    """All versions on offer, newest first."""
    return tuple(release.version for release in releases())


def newest_offered() -> str:
    """The newest version on offer, whatever Pythons there are; empty when none is."""
    return next(iter(versions()), "")


def withdrawn() -> tuple[str, ...]:
    """The versions that an administrator has switched off, newest first."""
    return tuple(release.version for release in known() if not release.is_offered)


def find(version: str) -> Release | None:
    """The release of exactly this version, when it is on offer."""
    return next((release for release in releases() if release.version == version), None)


def releases() -> tuple[Release, ...]:
    """Every row on offer, newest first."""
    return tuple(release for release in known() if release.is_offered)


def known() -> tuple[Release, ...]:
    """Every row, those that are switched off too, newest first."""
    changes = _changes()
    if not changes:
        return shipped()
    kept = [
        replace(release, is_offered=release.version not in changes or changes[release.version].is_offered)
        for release in shipped()
    ]
    own = [_own(row) for version, row in changes.items() if not is_shipped(version)]
    return tuple(sorted([*kept, *own], key=lambda release: Version(release.version), reverse=True))


def is_shipped(version: str) -> bool:
    """Whether the shipped catalogue has this version."""
    return any(release.version == version for release in shipped())


@cache
def shipped() -> tuple[Release, ...]:
    """Every row of the data file, newest first."""
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


def _changes() -> dict[str, FrameworkVersion]:
    return {row.version: row for row in FrameworkVersion.objects.all()}


def _own(row: FrameworkVersion) -> Release:
    return Release(
        version=row.version,
        pythons=tuple(minor.strip() for minor in row.pythons.split(",") if minor.strip()),
        keras=row.keras or FrameworkVersion.Keras.THREE,
        added=_lines(row.added),
        limits=_lines(row.limits),
        horovod=next((release.horovod for release in shipped() if release.version == row.horovod_as), None),
        is_shipped=False,
        is_offered=row.is_offered,
    )


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _horovod(row: dict[str, Any] | None) -> HorovodRecipe | None:
    return None if row is None else HorovodRecipe(version=row["version"], edits=tuple(row["edits"]))


def _applies(limit: dict[str, str], version: str) -> bool:
    since, until = limit.get("since", version), limit.get("until", version)
    return _minor(since) <= _minor(version) <= _minor(until)


def _minor(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
