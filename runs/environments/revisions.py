"""Which environment the same wishes give: the newest revision that was ever built, until somebody updates it.

The first revision of a set of wishes is resolved when a run first asks for it. An update is the next revision: the same
wishes, resolved anew. Runs take it once it is built; an update that fails takes nothing from anybody.
"""

from typing import Any

from compute.models import ComputeTarget
from runs.environments.request import environment_order, environment_wishes, revisions_of
from runs.models import Environment


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
