"""Errors of runs, in a tree::

RunsError
├── UserError            shown to the person: what happened, why, what to do
│   ├── SpecProblems     the submission has problems; ``problems`` lists them all
│   ├── SnapshotRefused  the code cannot be taken; names the file
│   │   └── SnapshotTooLarge
│   ├── EnvironmentFailed  the packages cannot be installed; names the package
│   └── NotNow           the action does not fit the run's state
├── EnvironmentUnchanged  an update came to the versions that are there already: nothing is built
└── StaleRun             another process moved the run first: reload and look again
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runs.spec import Problem


class RunsError(Exception):
    """The root of this tree."""


class UserError(RunsError):
    """Something the person can mend. The text is shown as it is."""


class SpecProblems(UserError):
    """A submission with problems, all of them at once."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(" ".join(problem.message for problem in problems))
        self.problems = problems


class SnapshotRefused(UserError):
    """The uploaded code cannot be taken."""


class SnapshotTooLarge(SnapshotRefused):
    """More bytes or files than a snapshot may have; the text names the ten largest."""


class EnvironmentFailed(UserError):
    """The environment cannot be built; the text names the package and why."""


class NotNow(UserError):
    """The action does not fit the run's present state."""


class EnvironmentUnchanged(RunsError):
    """A signal within a build: what was resolved anew is what the revision before holds."""


class StaleRun(RunsError):
    """A compare-and-set lost: the run is no longer in the expected state."""
