"""What a run executes: its command, its parameters, its files."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from runs.environments import shadow_warnings
from runs.models import Run, SnapshotFile
from runs.spec import RunSpec

_MOST_FILES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One script parameter as its row shows it; ``is_flag`` when the key stands alone."""

    name: str
    value: str
    is_flag: bool


def command_line(spec: RunSpec) -> str:
    """The command as a shell would take it: every word quoted where it needs to be."""
    return shlex.join(["python", spec.entry_script, *spec.argv])


def parameters(spec: RunSpec) -> list[Parameter]:
    """The script's parameters in their order."""
    rows = []
    for name, given in spec.script_params:
        words = _words(given)
        rows.append(
            Parameter(name=name, value=shlex.join(words) if len(words) > 1 else "".join(words), is_flag=not words)
        )
    return rows


def snapshot_files(run: Run) -> list[SnapshotFile]:
    """The snapshot's first files by path, as many as a page can hold."""
    return list(run.snapshot.files.order_by("path")[:_MOST_FILES])


def shadows(run: Run) -> list[str]:
    """A sentence for each file of the snapshot that hides a library from the script."""
    spec = run.effective_spec
    asked = run.environment.spec.get("packages", ()) if run.environment else spec.pip_packages
    files = run.snapshot.files.filter(path__endswith=".py").values_list("path", flat=True)
    return shadow_warnings(files, entry_script=spec.entry_script, packages=asked)


def _words(value: Any) -> list[str]:
    values = value if isinstance(value, (list, tuple)) else (value,)
    return [str(item) for item in values if item is not None and item != ""]
