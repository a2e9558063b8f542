"""One version of a named environment: what a run that names it gets in place of package options of its own."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from runs.spec.run_spec import RunSpec

#: The paths under which a definition's texts are read, as if they lay in the source folder.
REQUIREMENTS_PATH = "requirements.txt"
CONDA_PATH = "environment.yml"

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_REFERENCE = re.compile(rf"({NAME.pattern})(?:@([1-9][0-9]{{0,8}}))?")

#: Options of a run that a named environment stands in for, with what each is called in sentences.
EXCLUDED = {
    "framework_version": "the TensorFlow version",
    "legacy_keras": "legacy Keras",
    "pip_packages": "the pip packages",
    "pip_requirements_file": "the requirements file",
    "conda_packages": "the conda packages",
    "conda_channels": "the conda channels",
    "conda_dependencies_file": "the conda file",
    "custom_docker_image": "the image",
    "image_registry": "the image registry",
    "user_managed": "the user-managed image",
    "environment_variables": "the environment variables",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What version ``number`` of the named environment ``name`` holds. ``requirements`` and ``conda_file`` are the
    texts of files, empty where there is none; the other fields are those of RunSpec."""

    name: str = ""
    number: int = 0
    framework_version: str = ""
    legacy_keras: bool = False
    pip_packages: tuple[str, ...] = ()
    requirements: str = ""
    conda_packages: tuple[str, ...] = ()
    conda_channels: tuple[str, ...] = ()
    conda_file: str = ""
    environment_variables: dict[str, str] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """``name@number``: always the same content, as long as the named environment is not deleted."""
        return f"{self.name}@{self.number}"

    @property
    def files(self) -> dict[str, str]:
        """Its texts by the paths under which they are read."""
        texts = {REQUIREMENTS_PATH: self.requirements, CONDA_PATH: self.conda_file}
        return {path: text for path, text in texts.items() if text}

    def applied(self, spec: RunSpec) -> RunSpec:
        """``spec`` as if it asked for all this itself."""
        return dataclasses.replace(
            spec,
            environment_definition="",
            framework_version=self.framework_version,
            legacy_keras=self.legacy_keras,
            pip_packages=self.pip_packages,
            pip_requirements_file=REQUIREMENTS_PATH if self.requirements else "",
            conda_packages=self.conda_packages,
            conda_channels=self.conda_channels,
            conda_dependencies_file=CONDA_PATH if self.conda_file else "",
            environment_variables=dict(self.environment_variables),
        )

    def reader(self) -> Callable[[str, int], bytes | None]:
        """``read(path, size)``: up to ``size`` bytes of one of its texts; None when it has none of that path."""

        def read(path: str, size: int) -> bytes | None:
            text = self.files.get(path)
            return None if text is None else text.encode()[:size]

        return read

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON; ``from_json`` reads it back."""
        values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return values

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Definition:
        """What ``data`` holds. Raises ValueError for a field of a newer version."""
        known = {each.name for each in dataclasses.fields(cls)}
        if unknown := sorted(data.keys() - known):
            raise ValueError(f"Unknown fields in a named environment: {', '.join(unknown)}.")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
        }
        return cls(**values)


def reference_parts(reference: str) -> tuple[str, int | None] | None:
    """``name`` or ``name@3`` as its name and number, None for the newest; None when it is no reference at all."""
    match = _REFERENCE.fullmatch(reference)
    return None if match is None else (match[1], int(match[2]) if match[2] else None)


def options_beside(spec: RunSpec) -> list[str]:
    """The options that ``spec`` sets beside its named environment and that it stands in for, as they are called in
    sentences."""
    return [words for name, words in EXCLUDED.items() if getattr(spec, name)]
