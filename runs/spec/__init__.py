"""What a person asks for, and what is wrong with it. Pure: no database, no other room."""

from runs.spec.checks import Problem, Surroundings, TargetFacts, experiment_name_problems, problems
from runs.spec.run_spec import MASK, SECRET_NAME, RunSpec, is_secret_name, mask

__all__ = [
    "MASK",
    "SECRET_NAME",
    "Problem",
    "RunSpec",
    "Surroundings",
    "TargetFacts",
    "experiment_name_problems",
    "is_secret_name",
    "mask",
    "problems",
]
