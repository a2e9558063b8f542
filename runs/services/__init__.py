"""What people do: submit and cancel runs, order environments anew."""

from runs.services.cancel import run_cancel
from runs.services.environments import environment_rebuild
from runs.services.submit import package_problems, run_submit, submission_advice, submission_problems

__all__ = [
    "environment_rebuild",
    "package_problems",
    "run_cancel",
    "run_submit",
    "submission_advice",
    "submission_problems",
]
