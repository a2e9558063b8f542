"""What people do: submit runs, run them again, cancel them; order environments anew."""

from runs.services.again import exactly_problem, run_again, secrets_to_ask
from runs.services.cancel import run_cancel
from runs.services.checking import PackageCheck, package_check, package_check_again
from runs.services.environments import environment_rebuild, environment_update_order
from runs.services.submit import PACKAGE_PROBLEMS, package_problems, run_submit, submission_advice, submission_problems

__all__ = [
    "PACKAGE_PROBLEMS",
    "PackageCheck",
    "environment_rebuild",
    "environment_update_order",
    "exactly_problem",
    "package_check",
    "package_check_again",
    "package_problems",
    "run_again",
    "run_cancel",
    "run_submit",
    "secrets_to_ask",
    "submission_advice",
    "submission_problems",
]
