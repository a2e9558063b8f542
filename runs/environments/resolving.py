"""From the packages that are asked for to the lock: the exact versions with their hashes."""

from pathlib import Path

from runs.environments.lock import LockReader, lock_restricted
from runs.environments.request import spec_addresses, spec_packages
from runs.environments.workshop import Workshop


def packages_resolve(workshop: Workshop, python: Path) -> str:
    """The lock for ``python``. Raises EnvironmentFailed when the packages cannot be had together."""
    spec = workshop.spec
    lock = LockReader(spec_addresses(spec))
    words = ["pip", "compile", "--python", str(python), "--generate-hashes", "--no-header", "--no-annotate"]
    for option in ("constraints", "overrides"):
        if spec.get(option):
            words += [f"--{option}", workshop.hand_over(f"{option}.in", "\n".join(spec[option]) + "\n")]
    wishes = workshop.hand_over("requirements.in", "\n".join(spec_packages(spec)) + "\n")
    workshop.uv([*words, wishes], what="Resolving the packages", each_line=lock.line)
    return lock_restricted(lock.text(), spec.get("hashes", {}))
