"""What a person asks for: the frozen, versioned RunSpec.

The form, the HTTP API and every client make one; its canonical JSON is what the database keeps. The parameters are
those of the TensorFlow estimator of Azure Machine Learning's SDK v1 (azureml-train-core 1.0.39 to 1.62).
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from compute.masking import mask

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """Everything that decides what a run does, under the estimator's names; the defaults are the estimator's.

    ``script_params`` keeps the order in which it was given: pairs of a key and a value (a word, a number, a flag, a
    list), see ``argv``. Paths are relative to the snapshot and use ``/``.
    """

    entry_script: str = "train.py"
    script_params: tuple[tuple[str, Any], ...] = ()
    compute_target: str = "local"
    node_count: int = 1
    process_count_per_node: int = 1
    worker_count: int = 1
    parameter_server_count: int = 1
    distributed_backend: str | None = None
    coordinator: bool = False
    use_gpu: bool = False
    use_docker: bool = True
    custom_docker_image: str = ""
    image_registry: str = ""
    image_registry_username: str = ""
    user_managed: bool = False
    conda_packages: tuple[str, ...] = ()
    conda_channels: tuple[str, ...] = ()
    pip_packages: tuple[str, ...] = ()
    conda_dependencies_file: str = ""
    pip_requirements_file: str = ""
    environment_variables: dict[str, str] = field(default_factory=dict)
    environment_definition: str = ""
    inputs: tuple[str, ...] = ()
    shm_size: str = ""
    resume_from: str = ""
    max_run_duration_seconds: int | None = None
    framework_version: str = ""
    legacy_keras: bool = False
    keras_metrics: bool = True
    max_retries: int = 0

    @property
    def distribution(self) -> str:
        """The word of the distribution: ``single``, ``mpi``, ``ps`` or ``multiworker``."""
        return self.distributed_backend or "single"

    @property
    def argv(self) -> tuple[str, ...]:
        """The script's arguments, derived as the estimator did it.

        ``""``, ``None`` and ``[]`` leave the key alone (a flag); a list follows its key, without its empty items;
        0 is kept; booleans become the words True and False.
        """
        words: list[str] = []
        for key, value in self.script_params:
            words.append(key)
            values = value if isinstance(value, (list, tuple)) else (value,)
            words.extend(str(item) for item in values if item is not None and item != "")
        return tuple(words)

    def to_json(self) -> dict[str, Any]:
        """The spec as JSON, with its schema version; ``from_json`` reads it back."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {"schema": SCHEMA_VERSION, **json.loads(json.dumps(values))}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RunSpec:
        """The spec that ``data`` holds. Raises ValueError for a schema or a field of a newer version."""
        if data.get("schema") != SCHEMA_VERSION:
            raise ValueError(
                f"This spec has schema {data.get('schema')!r}; this version reads schema {SCHEMA_VERSION}."
            )
        known = {f.name for f in dataclasses.fields(cls)}
        values = {key: value for key, value in data.items() if key != "schema"}
        unknown = sorted(values.keys() - known)
        if unknown:
            raise ValueError(f"Unknown fields in the spec: {', '.join(unknown)}.")
        for name in ("conda_packages", "conda_channels", "pip_packages", "inputs"):
            if name in values:
                values[name] = tuple(values[name])
        if "script_params" in values:
            values["script_params"] = tuple((key, value) for key, value in values["script_params"])
        return cls(**values)

    def canonical(self) -> str:
        """The one spelling of this spec, for digests and comparison."""
        return json.dumps(self.to_json(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    def masked(self) -> RunSpec:
        """The spec for showing: values of variables whose name looks like a secret are masked."""
        shown = {name: mask(name, value) for name, value in self.environment_variables.items()}
        return dataclasses.replace(self, environment_variables=shown)
