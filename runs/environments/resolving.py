"""From the packages that are asked for to the lock: the exact versions with their hashes."""

from collections.abc import Sequence
from pathlib import Path

from runs.environments.lock import LockReader, lock_restricted, lock_with_sources
from runs.environments.request import spec_addresses, spec_packages
from runs.environments.source_builds import Built
from runs.environments.workshop import Workshop


def packages_resolve(workshop: Workshop, python: Path, built: Sequence[Built] = ()) -> str:
    """The lock for ``python``; ``built`` are packages from files, resolved together with everything else. Raises
    EnvironmentFailed when the packages cannot be had together."""
    spec = workshop.spec
    wheels = {one.address for one in built}
    lock = LockReader(spec_addresses(spec) | wheels)
    words = ["pip", "compile", "--python", str(python), "--generate-hashes", "--no-header", "--no-annotate"]
    for option in ("constraints", "overrides"):
        if spec.get(option):
            words += [f"--{option}", workshop.hand_over(f"{option}.in", "\n".join(spec[option]) + "\n")]
    lines = [*spec_packages(spec), *(line for one in built for line in one.requirements)]
    wishes = workshop.hand_over("requirements.in", "\n".join(lines) + "\n")
    workshop.uv([*words, wishes], what="Resolving the packages", each_line=lock.line)
    text = lock_restricted(lock.text(), spec.get("hashes", {}))
    if not built:
        return text
    sources = [one.source for one in built if f" @ {one.address} " in text]
    return lock_with_sources(text, sources, addresses=wheels)
