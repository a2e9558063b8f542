"""The environment of an earlier run, once more: the same packages by its lock, on the same Python where it is there."""

from typing import Any

from compute.backends.base import ComputeBackend
from compute.models import ComputeTarget
from runs.environments.interpreters import interpreter_again
from runs.environments.packages import parsed
from runs.environments.realised import environment_is_intact
from runs.environments.request import environment_order, environment_wishes, spec_packages
from runs.errors import EnvironmentFailed
from runs.models import Environment
from runs.states import EnvironmentState


def environment_request_locked(
    canonical: dict[str, Any], lock: str, target: ComputeTarget, backend: ComputeBackend
) -> Environment:
    """The environment that holds exactly ``lock``, ordered unless it is there. ``canonical`` described the one that the
    lock came from.

    That one is taken when it still has this lock, wherever its files are: what was built once is built again by its
    lock. Otherwise one is ordered whose description has the lock in it. Idempotent. Raises EnvironmentFailed when no
    Python of the same minor version is there, and when a package is named by an address that the installation does not
    allow any more.
    """
    if problem := environment_lock_problem(canonical):
        raise EnvironmentFailed(problem)
    wanted = environment_wishes(canonical)
    wanted["python"] = interpreter_again(backend, canonical["python"]).identity
    holders = [
        row for row in Environment.objects.filter(target=target, lock=lock) if environment_wishes(row.spec) == wanted
    ]
    if not holders:
        return environment_order({**wanted, "lock": lock}, target)
    best = max(holders, key=lambda row: (_is_there(row), "lock" not in row.spec, row.pk))
    return environment_order(best.spec, target)


def environment_lock_problem(canonical: dict[str, Any]) -> str:
    """Why the packages of this description may not be installed any more, as a sentence; empty when they may."""
    try:
        for line in spec_packages(canonical):
            parsed(line)
    except EnvironmentFailed as error:
        return str(error)
    return ""


def python_differs(canonical: dict[str, Any], before: dict[str, Any]) -> str:
    """That an environment stands on another Python than the one described by ``before``, as a sentence; empty when it
    is the same, or not known."""
    now, then = canonical.get("python") or {}, before.get("python") or {}
    if not now or not then or now == then:
        return ""
    if now["version"] != then["version"]:
        return f"Python {now['version']} stands in for {then['version']}, which is not on the machine any more."
    return f"Python {now['version']} is another build than before; that one is not on the machine any more."


def _is_there(environment: Environment) -> bool:
    return environment.state == EnvironmentState.READY and environment_is_intact(environment)
