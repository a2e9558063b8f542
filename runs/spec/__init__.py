"""What a person asks for, and what is wrong with it. Pure: no database."""

from runs.spec.checks import Problem, Surroundings, TargetFacts, experiment_name_problems, problems
from runs.spec.parts import address_problem, path_inside, reason_of
from runs.spec.run_spec import RunSpec

__all__ = [
    "Problem",
    "RunSpec",
    "Surroundings",
    "TargetFacts",
    "address_problem",
    "experiment_name_problems",
    "path_inside",
    "problems",
    "reason_of",
]
