"""The one place where a run's named environment becomes packages."""

from __future__ import annotations

from runs.environments.requirements import Read
from runs.spec import Definition, RunSpec


def effective(spec: RunSpec, definition: Definition | None, read: Read | None) -> tuple[RunSpec, Read | None]:
    """``spec`` with the content of its named environment in place, and what opens the files that it then names: those
    of the definition. Without a definition both as they are."""
    return (spec, read) if definition is None else (definition.applied(spec), definition.reader())
