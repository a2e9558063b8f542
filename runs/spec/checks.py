"""What is wrong with a RunSpec: ``problems``, the one place that checks it.

The rules are the estimator's, made stricter where it found out late or ignored silently.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from runs.spec.containers import container_contradictions
from runs.spec.definition import options_beside
from runs.spec.parts import address_problem, path_inside, reason_of
from runs.spec.run_spec import RunSpec

BACKENDS = ("mpi", "ps", "multiworker")
EXPERIMENT_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,79}")
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

#: Variables that the platform itself sets for a task and a person therefore cannot.
RESERVED_PREFIXES = ("TRAINHOUSE_",)

#: Linux allows 128 KiB a single argument (MAX_ARG_STRLEN) and about 2 MiB in all.
MAX_ARGUMENT_BYTES = 128 * 1024 - 1
MAX_ARGUMENTS_BYTES = 1024 * 1024
MAX_COUNT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with a submission: the field it belongs to and a sentence for the person."""

    field: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFacts:
    """What ``problems`` needs to know of a target. ``gpus_per_node`` has one count a node."""

    name: str
    abilities: frozenset[str] = frozenset()
    gpus_per_node: tuple[int, ...] = (0,)
    is_open: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a spec is checked against. ``files`` are the snapshot's paths, None before there is a snapshot;
    ``target`` is None when no target of that name may be used; ``versions`` are the catalogue's, newest first, and
    ``withdrawn`` those that an administrator has switched off; ``allow_urls`` is the administrator's word on packages
    that are named by an address."""

    files: Collection[str] | None
    target: TargetFacts | None
    targets: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    allow_urls: bool = False


def problems(spec: RunSpec, around: Surroundings) -> list[Problem]:
    """Every problem of ``spec`` at once, each naming its field; an empty list means that it can be submitted."""
    return [
        *_entry_script(spec, around),
        *_script_params(spec),
        *_counts(spec),
        *_distribution(spec),
        *_packages(spec, around),
        *_definition(spec),
        *_variables(spec),
        *_target(spec, around),
    ]


def _entry_script(spec: RunSpec, around: Surroundings) -> list[Problem]:
    path = spec.entry_script
    if not path:
        return [Problem(field="entry_script", message="Name the script to run, for example train.py.")]
    outside = f"The entry script {path!r} lies outside the source folder. Give a path inside it, such as train.py."
    if path_inside(path) is None or ".." in path.split("/"):
        return [Problem(field="entry_script", message=outside)]
    if around.files is None:
        return [Problem(field="source", message="Upload the source folder: a zip file, or a folder.")]
    clean = posixpath.normpath(path)
    if clean in around.files:
        return []
    scripts = sorted(name for name in around.files if name.endswith(".py"))
    known = f"It has {_listed(scripts)}." if scripts else "It has no Python file."
    return [Problem(field="entry_script", message=f"There is no {path!r} in the source folder. {known}")]


def _script_params(spec: RunSpec) -> list[Problem]:
    found: list[Problem] = []
    seen: set[str] = set()
    for key, value in spec.script_params:
        if not key:
            found.append(
                Problem(field="script_params", message=f"The value {value!r} has no parameter name before it.")
            )
        elif key in seen:
            found.append(Problem(field="script_params", message=f"The parameter {key!r} is given twice; keep one."))
        seen.add(key)
    for word in spec.argv:
        if "\0" in word:
            found.append(
                Problem(
                    field="script_params",
                    message=f"{word!r} holds a NUL character, which no argument may have.",
                )
            )
        elif _byte_length(word) > MAX_ARGUMENT_BYTES:
            found.append(
                Problem(
                    field="script_params",
                    message=f"The argument beginning with {word[:40]!r} has {_byte_length(word):,} bytes; Linux takes "
                    f"{MAX_ARGUMENT_BYTES:,}. Put the value into a file of the source folder.",
                )
            )
    if sum(_byte_length(word) + 1 for word in spec.argv) > MAX_ARGUMENTS_BYTES:
        found.append(
            Problem(
                field="script_params",
                message=f"The parameters have more than {MAX_ARGUMENTS_BYTES:,} bytes in all; put them into a file.",
            )
        )
    return found


def _counts(spec: RunSpec) -> list[Problem]:
    found = []
    for name in ("node_count", "process_count_per_node", "worker_count"):
        found += _count(name, getattr(spec, name), least=1)
    found += _count("parameter_server_count", spec.parameter_server_count, least=0)
    found += _count("max_retries", spec.max_retries, least=0)
    if spec.max_run_duration_seconds is not None:
        found += _count("max_run_duration_seconds", spec.max_run_duration_seconds, least=1, most=10 * 365 * 86400)
    return found


def _count(name: str, value: Any, *, least: int, most: int = MAX_COUNT) -> list[Problem]:
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return []
    return [Problem(field=name, message=f"{name} is {value!r}; it must be a whole number from {least} to {most:,}.")]


def _distribution(spec: RunSpec) -> list[Problem]:
    backend = spec.distributed_backend
    if backend is not None and backend not in BACKENDS:
        allowed = ", ".join(BACKENDS)
        return [
            Problem(
                field="distributed_backend",
                message=f"distributed_backend is {backend!r}; it must be one of {allowed}, or empty for one process.",
            )
        ]
    return []


def _unreadable(line: str, error: InvalidRequirement | RecursionError, *, allow_urls: bool) -> str:
    """What is wrong with a line of the packages that is no requirement, as the end of a sentence."""
    if line.startswith(("./", "../", "-e ", "--editable")):
        return "names files of the source. Write it into a requirements file there, and name that file."
    if line.startswith("-"):
        return (
            "is no package requirement: options of pip have no place here. A requirements file has a field of its own, "
            "and which index is asked is the administrator's choice."
        )
    if re.match(r"[a-z+]+://", line):
        return (
            "is an address without a name. Write the package's name before it: name @ address."
            if allow_urls
            else "names an address. Packages come from the configured index: give a name, such as scikit-learn."
        )
    return f"is no package requirement: {reason_of(error)}. Write it like scikit-learn or pandas>=2."


def _packages(spec: RunSpec, around: Surroundings) -> list[Problem]:
    found = []
    for line in spec.pip_packages:
        try:
            wrong = address_problem(Requirement(line), allow_urls=around.allow_urls)
        except (InvalidRequirement, RecursionError) as error:
            wrong = _unreadable(line, error, allow_urls=around.allow_urls)
        if wrong:
            found.append(Problem(field="pip_packages", message=f"{line!r} {wrong}"))
    found += _file("pip_requirements_file", spec.pip_requirements_file, around, like="requirements.txt")
    found += _file("conda_dependencies_file", spec.conda_dependencies_file, around, like="environment.yml")
    if spec.framework_version and around.versions and spec.framework_version not in around.versions:
        why = "is switched off here" if spec.framework_version in around.withdrawn else "is not in the catalogue"
        message = f"TensorFlow {spec.framework_version} {why}. Known versions: {', '.join(around.versions)}."
        found.append(Problem(field="framework_version", message=message))
    if spec.conda_dependencies_file and (spec.conda_packages or spec.pip_packages or spec.pip_requirements_file):
        found.append(
            Problem(
                field="conda_dependencies_file",
                message="A conda file names all packages: leave the package lists empty and name no requirements file, "
                "or leave the conda file out.",
            )
        )
    found += [Problem(field=field, message=message) for field, message in container_contradictions(spec)]
    return found


def _definition(spec: RunSpec) -> list[Problem]:
    beside = options_beside(spec) if spec.environment_definition else []
    if not beside:
        return []
    message = (
        f"The named environment {spec.environment_definition} stands in for {_listed(beside, most=len(beside))}. Leave "
        f"{'that' if len(beside) == 1 else 'those'} out, or choose no named environment."
    )
    return [Problem(field="environment_definition", message=message)]


def _file(field: str, path: str, around: Surroundings, *, like: str) -> list[Problem]:
    """The problems of a file of the source that ``field`` names; ``like`` is such a file's usual name."""
    if not path:
        return []
    clean = path_inside(path)
    endings = (".yml", ".yaml") if like.endswith(".yml") else (posixpath.splitext(like)[1],)
    if clean is None:
        message = f"{path!r} lies outside the source folder. Give a path inside it, such as {like}."
    elif around.files is None or clean in around.files:
        return []
    else:
        alike = sorted(name for name in around.files if name.endswith(endings))
        known = f"It has {_listed(alike)}." if alike else f"It has no {endings[0]} file."
        message = f"There is no {path!r} in the source folder. {known}"
    return [Problem(field=field, message=message)]


def _variables(spec: RunSpec) -> list[Problem]:
    found = []
    switch = spec.environment_variables.get("TF_USE_LEGACY_KERAS", "1")
    if spec.legacy_keras and switch not in ("1", "true", "True"):
        message = f"Legacy Keras is ticked, and the variable TF_USE_LEGACY_KERAS is {switch!r}. Remove one of the two."
        found.append(Problem(field="legacy_keras", message=message))
    for name, value in spec.environment_variables.items():
        if not VARIABLE_NAME.fullmatch(name):
            message = f"{name!r} cannot be a variable's name: use letters, digits and _, not beginning with a digit."
            found.append(Problem(field="environment_variables", message=message))
        elif name.startswith(RESERVED_PREFIXES):
            message = f"{name} is set by the platform itself; choose a name that does not begin with TRAINHOUSE_."
            found.append(Problem(field="environment_variables", message=message))
        if "\0" in value:
            message = f"The value of {name} holds a NUL character, which no variable may have."
            found.append(Problem(field="environment_variables", message=message))
        elif _byte_length(value) > MAX_ARGUMENT_BYTES:
            message = f"The value of {name} is longer than {MAX_ARGUMENT_BYTES:,} bytes; put it into a file."
            found.append(Problem(field="environment_variables", message=message))
    return found


def _target(spec: RunSpec, around: Surroundings) -> list[Problem]:
    target = around.target
    if target is None:
        known = f"Targets you may use: {', '.join(around.targets)}." if around.targets else "You may use no target yet."
        missing = (
            f"There is no target {spec.compute_target!r} for you." if spec.compute_target else "No target is named."
        )
        return [Problem(field="compute_target", message=f"{missing} {known}")]
    found = [
        Problem(field=name, message=f"Target {target.name} {what}.")
        for name, asked, ability, what in _abilities(spec)
        if asked and ability not in target.abilities
    ]
    if not target.is_open:
        found.append(Problem(field="compute_target", message=f"Target {target.name} takes no new runs at present."))
    if spec.use_gpu and max(target.gpus_per_node, default=0) == 0:
        found.append(
            Problem(
                field="use_gpu",
                message=f"Target {target.name} has no GPU. Untick use_gpu to train on the CPU, or choose another.",
            )
        )
    return found


def _abilities(spec: RunSpec) -> list[tuple[str, bool, str, str]]:
    """Rows of (field, whether it is asked for, ability needed, what a target without it cannot do)."""
    containers = "runs scripts in plain environments, not in containers: leave {} empty"
    return [
        ("distributed_backend", spec.distributed_backend == "mpi", "mpi", "cannot run Horovod (mpi) yet"),
        ("distributed_backend", spec.distributed_backend == "ps", "ps", "cannot run parameter servers (ps) yet"),
        ("distributed_backend", spec.distributed_backend == "multiworker", "multiworker", "cannot run multiworker yet"),
        ("conda_packages", bool(spec.conda_packages), "conda", "cannot install conda packages: name them under pip"),
        (
            "conda_dependencies_file",
            bool(spec.conda_dependencies_file),
            "conda",
            "cannot install from a conda file: name the packages under pip",
        ),
        (
            "environment_definition",
            bool(spec.environment_definition),
            "named_environments",
            "has no named environments yet: name the packages under pip",
        ),
        (
            "custom_docker_image",
            bool(spec.custom_docker_image),
            "containers",
            containers.format("custom_docker_image"),
        ),
        ("image_registry", bool(spec.image_registry), "containers", containers.format("image_registry")),
        ("shm_size", bool(spec.shm_size), "containers", containers.format("shm_size")),
        ("user_managed", spec.user_managed, "containers", containers.format("user_managed")),
        (
            "inputs",
            bool(spec.inputs),
            "data_folders",
            "has no data folders yet: give the path as a parameter",
        ),
        (
            "resume_from",
            bool(spec.resume_from),
            "resume",
            "cannot resume from another run yet: give the path as a parameter",
        ),
        ("max_retries", spec.max_retries > 0, "retries", "cannot retry by itself yet: leave max_retries at 0"),
    ]


def experiment_name_problems(name: str) -> list[Problem]:
    """Problems of an experiment's name."""
    if EXPERIMENT_NAME.fullmatch(unicodedata.normalize("NFC", name)):
        return []
    message = (
        f"{name!r} cannot be an experiment's name: begin with a letter or digit, then letters, digits, - _ and ., "
        "at most 80 characters, no spaces."
    )
    return [Problem(field="experiment", message=message)]


def _listed(names: list[str], *, most: int = 8) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _byte_length(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
