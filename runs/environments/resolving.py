"""From the packages that are asked for to the lock: the exact versions with their hashes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runs.environments.lock import LockReader, lock_restricted, lock_with_sources
from runs.environments.request import spec_addresses, spec_packages
from runs.environments.source_builds import Built
from runs.environments.workshop import Workshop


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Distributions that are in the environment already, by name, and a folder with a wheel of each one's metadata."""

    wheels: Path
    versions: Mapping[str, str]


def packages_resolve(
    workshop: Workshop, python: Path, built: Sequence[Built] = (), beside: Beside | None = None
) -> str:
    """The lock for ``python``; ``built`` are packages from files, resolved together with everything else. What is
    ``beside`` them counts, and is not in the lock. Raises EnvironmentFailed when the packages cannot be had
    together."""
    spec = workshop.spec
    wheels = {one.address for one in built}
    lock = LockReader(spec_addresses(spec) | wheels)
    words = ["pip", "compile", "--python", str(python), "--generate-hashes", "--no-header", "--no-annotate"]
    for option in ("constraints", "overrides"):
        if spec.get(option):
            words += [f"--{option}", workshop.hand_over(f"{option}.in", "\n".join(spec[option]) + "\n")]
    lines = [*spec_packages(spec), *(line for one in built for line in one.requirements)]
    if beside is not None and beside.versions:
        # As a line of the file it counts beside the machine's own folders of packages; as an option, in their place.
        lines.insert(0, f"--find-links {beside.wheels.as_uri()}")
        pins = "".join(f"{name}=={version}\n" for name, version in beside.versions.items())
        words += ["--constraints", workshop.hand_over("beside.in", pins)]
        words += [f"--no-emit-package={name}" for name in beside.versions]
    wishes = workshop.hand_over("requirements.in", "\n".join(lines) + "\n")
    workshop.uv([*words, wishes], what="Resolving the packages", each_line=lock.line)
    text = lock_restricted(lock.text(), spec.get("hashes", {}))
    if not built:
        return text
    sources = [one.source for one in built if f" @ {one.address} " in text]
    return lock_with_sources(text, sources, addresses=wheels)
