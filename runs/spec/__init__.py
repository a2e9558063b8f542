"""What a person asks for, and what is wrong with it. Pure: no database."""

from runs.spec.checks import Problem, Surroundings, TargetFacts, experiment_name_problems, problems
from runs.spec.containers import container_advice
from runs.spec.definition import EXCLUDED as EXCLUDED_OPTIONS
from runs.spec.definition import NAME as DEFINITION_NAME
from runs.spec.definition import Definition, options_beside, reference_parts
from runs.spec.parts import (
    REPOSITORY,
    address_problem,
    path_inside,
    reason_of,
    repository_folder,
    repository_problem,
)
from runs.spec.run_spec import RunSpec

__all__ = [
    "DEFINITION_NAME",
    "EXCLUDED_OPTIONS",
    "REPOSITORY",
    "Definition",
    "Problem",
    "RunSpec",
    "Surroundings",
    "TargetFacts",
    "address_problem",
    "container_advice",
    "experiment_name_problems",
    "options_beside",
    "path_inside",
    "problems",
    "reason_of",
    "reference_parts",
    "repository_folder",
    "repository_problem",
]
