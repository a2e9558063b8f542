"""From files of a snapshot, or of a repository, to wheels, with a build's rights, and from there into the environment.

Whose code it is, nobody knows; so all of it runs as a user that owns nothing which another build uses, in a place of
its own with a cache of its own. The files are handed over readable and copied there, since a package's build writes
beside its files. What comes back is the wheel, by its bytes: installing it runs no code.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from compute.package_index import TRUE
from runs.environments.lock import LockedSource, lock_sources
from runs.environments.repositories import repository_fetch
from runs.environments.sources import is_repository
from runs.environments.workshop import Workshop
from runs.errors import EnvironmentFailed, SnapshotRefused
from runs.snapshots import tree_files
from runs.snapshots.blobs import blob_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A package of the snapshot as a wheel. ``asked`` has its extras and its marker, once for each line."""

    source: LockedSource
    wheel: Path
    asked: tuple[tuple[tuple[str, ...], str], ...]

    @property
    def address(self) -> str:
        """Where the resolver finds the wheel."""
        return f"file://{quote(str(self.wheel))}"

    @property
    def requirements(self) -> list[str]:
        """For the resolver, which so learns what the package depends on."""
        return [
            " ".join(
                [
                    f"{self.source.name}[{','.join(extras)}]" if extras else self.source.name,
                    f"@ {self.address}",
                    *([f"; {marker}"] if marker else []),
                ]
            )
            for extras, marker in self.asked
        ]


@contextmanager
def sources_built(workshop: Workshop, python: Path) -> Iterator[list[Built]]:
    """Wheels of every package from files that the lock, or the spec without one, names; they are gone at the
    end. Raises EnvironmentFailed with the package's folder named when one cannot be built, or is not what the lock
    says."""
    wanted = _wanted(workshop)
    if not wanted:
        yield []
        return
    apart = workshop.apart
    workshop.backend.build_apart_remove(apart)  # what a killed builder left
    try:
        folder = workshop.backend.build_apart(apart) / "tmp"
        yield [
            _build(workshop, python, folder / str(number), path=path, described=described, apart=apart)
            for number, (path, described) in enumerate(wanted.items())
        ]
    except LookupError as error:
        raise EnvironmentFailed(str(error)) from error
    finally:
        workshop.backend.build_apart_remove(apart)


def sources_install(workshop: Workshop, built: Sequence[Built], lock: str) -> None:
    """Installs those of ``built`` that ``lock`` has: a marker may leave one out. What they depend on is installed
    already."""
    locked = {source.name for source in lock_sources(lock)}
    wheels = [str(one.wheel) for one in built if one.source.name in locked]
    if wheels:
        # As for the packages of the lock: a Python from a channel may call itself externally managed.
        words = ["pip", "install", "--python", str(workshop.python), "--no-deps", "--no-index"]
        words.append("--break-system-packages")
        workshop.uv([*words, *wheels], what="Installing the packages of the source folder")


def _wanted(workshop: Workshop) -> dict[str, Any]:
    """By path, the digest of the files and how they are asked for; with a lock, what the package ``is``. Raises
    EnvironmentFailed when the lock names files that were not asked for."""
    sources: dict[str, Any] = workshop.spec.get("sources", {})
    if not workshop.lock:
        return sources
    locked = lock_sources(workshop.lock)
    for source in locked:
        # A lock was written while packages were built, and the store holds the files of everybody.
        if not is_repository(source.path) and sources.get(source.path, {}).get("tree") != source.digest:
            raise EnvironmentFailed(f"The lock names files of {source.path} that the run did not ask for.")
    return {
        source.path: {"tree": source.digest, "asked": [], "is": f"{source.name}=={source.version}"} for source in locked
    }


def _build(
    workshop: Workshop, python: Path, folder: Path, *, path: str, described: dict[str, Any], apart: str
) -> Built:
    shown = path if is_repository(path) or path == "." else f"./{path}"
    what = f"Building the package in {shown}"
    if _wheels_alone() and not path.endswith(".whl"):
        raise EnvironmentFailed(
            f"{shown} has to be built, and an administrator allows wheels alone here (UV_NO_BUILD). Build it yourself, "
            "put the wheel into the source folder, and name that: ./dist/package-1.0-py3-none-any.whl."
        )
    files, wheels = folder / "files", folder / "wheels"
    workshop.command(["/bin/mkdir", "-p", str(wheels)], what=what, apart=apart)
    if is_repository(path):
        path, digest, files = repository_fetch(workshop, path, files, apart=apart)
    else:
        digest = described["tree"]
        handed_over = _hand_over(workshop, folder.name, digest)
        workshop.command(["/bin/cp", "-r", "--", str(handed_over), str(files)], what=what, apart=apart)
    workshop.say(f"{what}; it is installed as it is now, -e or not")
    workshop.progress.say("resolve", what)
    if path.endswith(".whl"):
        workshop.command(["/bin/mv", "--", str(files / Path(path).name), str(wheels)], what=what, apart=apart)
    else:
        start = files / Path(path).name if path.endswith((".zip", ".tar.gz")) else files
        words = ["build", "--wheel", "--no-sources", "--python", str(python), "--out-dir", str(wheels), str(start)]
        workshop.uv(words, what=what, apart=apart)
    wheel = _wheel(workshop, wheels, shown=shown, apart=apart)
    name, version, _, _ = parse_wheel_filename(wheel.name)
    if described.get("name", name) != name:
        raise EnvironmentFailed(f"The package in {shown} is called {name}, not {described['name']}. Correct the line.")
    if "is" in described and described["is"] != f"{name}=={version}":
        raise EnvironmentFailed(f"The package in {shown} is {name}=={version} now; the lock has {described['is']}.")
    return Built(
        source=LockedSource(path=path, name=name, version=str(version), digest=digest),
        wheel=wheel,
        asked=tuple((tuple(extras), marker) for extras, marker in described["asked"]),
    )


def _wheels_alone() -> bool:
    """Whether the machine's settings forbid that code of packages is run. uv heeds that for packages of an index, and
    not for what it is told to build."""
    return os.environ.get("UV_NO_BUILD", "").lower() in TRUE


def _wheel(workshop: Workshop, folder: Path, *, shown: str, apart: str) -> Path:
    """A copy of the one wheel in ``folder``. It belongs to whoever built: its names are heard, its bytes are taken."""
    names: list[str] = []

    def each_line(line: str) -> bool:
        names.append(line)
        return False

    what = f"Looking for the package of {shown}"
    workshop.command(["/bin/ls", "-1", str(folder)], what=what, each_line=each_line, apart=apart)
    try:
        (name,) = [name for name in names if name.endswith(".whl")]
        parse_wheel_filename(name)
    except (ValueError, InvalidWheelFilename) as error:
        raise EnvironmentFailed(
            f"{shown} gave no wheel that can be installed: {', '.join(names) or 'none'}."
        ) from error
    return workshop.take_over(folder / name, name=name, apart=apart)


def _hand_over(workshop: Workshop, name: str, tree: str) -> Path:
    """The files of ``tree`` where builds can read and not change them."""
    folder = workshop.hand_over_folder(f"source-{name}")
    try:
        entries = tree_files(tree)
    except SnapshotRefused as error:
        raise EnvironmentFailed(str(error)) from error
    for entry in entries:
        place = folder / entry.path
        for above in reversed(place.relative_to(folder).parents):
            (folder / above).mkdir(exist_ok=True)
            (folder / above).chmod(0o755)  # whatever the server's umask is
        shutil.copyfile(blob_path(entry.sha256), place)
        place.chmod(0o755 if entry.executable else 0o644)
    return folder
