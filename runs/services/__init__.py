"""What people do: submit runs, run them again, cancel them; order environments anew; keep named ones."""

from runs.services.again import exactly_problem, run_again, secrets_to_ask
from runs.services.cancel import run_cancel
from runs.services.checking import PackageCheck, package_check, package_check_again
from runs.services.definitions import (
    definition_find,
    definition_problems,
    named_archive,
    named_build,
    named_create,
    named_delete,
    named_edit,
)
from runs.services.environments import environment_rebuild, environment_update_order
from runs.services.submit import (
    PACKAGE_PROBLEMS,
    count_problems,
    package_problems,
    run_submit,
    submission_advice,
    submission_problems,
)

__all__ = [
    "PACKAGE_PROBLEMS",
    "PackageCheck",
    "count_problems",
    "definition_find",
    "definition_problems",
    "environment_rebuild",
    "environment_update_order",
    "exactly_problem",
    "named_archive",
    "named_build",
    "named_create",
    "named_delete",
    "named_edit",
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
