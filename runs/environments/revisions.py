"""Which environment the same wishes give: the newest revision that was ever built, until somebody updates it.

The first revision of a set of wishes is resolved when a run first asks for it. An update is the next revision: the same
wishes, resolved anew. Runs take it once it is built; an update that fails takes nothing from anybody, and one that
comes to the same versions is not built.
"""

from typing import Any

from compute.models import ComputeTarget
from runs.environments.request import environment_order, environment_wishes, revision_taken, revisions_of
from runs.errors import EnvironmentUnchanged
from runs.models import Environment

#: Parts of a description that add packages to those of the resolver.
_HAS_MORE = {"conda", "horovod"}


def environment_update(canonical: dict[str, Any], target: ComputeTarget) -> Environment:
    """The next revision of these wishes on ``target``, ordered; the first when there is none. An update that is on its
    way is joined, and one that failed is tried again."""
    wishes = environment_wishes(canonical)
    newest = revisions_of(wishes, target).first()
    if newest is None:
        return environment_order(wishes, target)
    if not newest.lock:
        return environment_order(newest.spec, target)
    return environment_order({**wishes, "revision": newest.revision + 1}, target)


def environment_of_unchanged(environment: Environment) -> Environment:
    """In place of an update that came to nothing new: the environment that holds its packages, ordered unless it is
    there."""
    wishes = environment_wishes(environment.spec)
    taken = revision_taken(wishes, environment.target)
    return environment_order(wishes if taken is None or not taken.lock else taken.spec, environment.target)


def revision_check(environment: Environment, lock: str) -> None:
    """Raises EnvironmentUnchanged when ``lock``, which ``environment`` was resolved to, is that of the revision before
    it. One with conda packages or Horovod, which the resolver does not know of, is built in any case."""
    before = None if environment.lock or _HAS_MORE & environment.spec.keys() else revision_before(environment)
    if before is not None and before.lock == lock:
        raise EnvironmentUnchanged(f"The same versions as in {before}.")


def revision_before(environment: Environment) -> Environment | None:
    """The revision that ``environment`` is an update of, as far as it is still there and was built."""
    revisions = revisions_of(environment_wishes(environment.spec), environment.target)
    if environment.spec.get("lock"):
        return None
    return revisions.filter(revision__lt=environment.revision).exclude(lock="").first()


def revision_newest(environment: Environment) -> Environment | None:
    """The revision that runs with these wishes take now; None when that is ``environment`` itself, and for one that was
    ordered by a lock, which no run gets by its wishes."""
    if environment.spec.get("lock"):
        return None
    newest = revisions_of(environment_wishes(environment.spec), environment.target).exclude(lock="").first()
    return None if newest is None or newest.pk == environment.pk else newest
