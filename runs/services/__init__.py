"""What people do to runs: submit, cancel."""

from runs.services.cancel import run_cancel
from runs.services.submit import run_submit, submission_problems

__all__ = ["run_cancel", "run_submit", "submission_problems"]
