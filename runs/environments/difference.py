"""What differs between the packages of two locks. Pure."""

import re
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from runs.environments.conda.records import lock_conda
from runs.environments.lock import lock_packages


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One package that differs; an empty version: it is not in that lock."""

    name: str
    before: str
    after: str

    @property
    def kind(self) -> str:
        """``added``, ``removed``, ``newer``, ``older`` or ``changed``."""
        if not self.before:
            return "added"
        if not self.after:
            return "removed"
        try:
            before, after = (Version(each.partition(" ")[0]) for each in (self.before, self.after))
        except InvalidVersion:
            return "changed"
        if before == after:
            return "changed"
        return "newer" if after > before else "older"


def difference(before: str, after: str) -> list[Change]:
    """What has to happen to the packages of the lock ``before`` to get those of ``after``, by name."""
    old, new = lock_versions(before), lock_versions(after)
    return [
        Change(name=name, before=old.get(name, ""), after=new.get(name, ""))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def lock_versions(lock: str) -> dict[str, str]:
    """The packages of a lock with their versions; with its address in place of one that came from there. Those of conda
    are marked as such in their names, and have their builds beside their versions."""
    pairs = (re.split("==| @ ", line, maxsplit=1) for line in lock_packages(lock))
    from_conda = {f"{record.name} (conda)": f"{record.version} {record.build}" for record in lock_conda(lock)}
    return {**{pair[0]: pair[1] for pair in pairs if len(pair) == 2}, **from_conda}
