"""Room for environments: the least recently used leave when all together are over the budget."""

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.utils import timezone

from compute.errors import ComputeError
from runs.environments import environment_evict, environments_bytes, leftovers_remove, with_last_use
from runs.models import Environment
from runs.states import ACTIVE, EnvironmentState

logger = logging.getLogger(__name__)

#: What was used within this time stays, whatever the budget says: people run the same thing again.
KEPT_FOR = timedelta(hours=1)


def make_room() -> bool:
    """Removes at most one environment, so that the supervisor's other rounds wait for no more than that; whether it
    did. One whose removal was cut short comes first, then what failed builds left, then the least recently used as
    long as the budget is exceeded."""
    unused_since = timezone.now() - KEPT_FOR
    cut_short = (
        Environment.objects.filter(state=EnvironmentState.EVICTED).exclude(path="").exclude(runs__state__in=ACTIVE)
    )
    for environment in cut_short.select_related("target"):
        if _removed(partial(environment_evict, environment, unused_since=timezone.now()), environment):
            return True
    failed = Environment.objects.filter(state=EnvironmentState.FAILED, state_since__lt=unused_since)
    for environment in failed.select_related("target"):
        if _removed(partial(leftovers_remove, environment), environment):
            return True
    limit = settings.ENV.environments_max_bytes
    if not limit or environments_bytes() <= limit:
        return False
    unused = with_last_use(Environment.objects.filter(state=EnvironmentState.READY)).filter(used_at__lt=unused_since)
    for environment in unused.exclude(runs__state__in=ACTIVE).select_related("target").order_by("used_at"):
        if _removed(partial(environment_evict, environment, unused_since=unused_since), environment):
            logger.info("Removed environment %s to make room; it was last used %s", environment, environment.used_at)
            return True
    return False


def _removed(remove: Callable[[], bool], environment: Environment) -> bool:
    """Whether ``remove`` removed something. What resists does not keep the others from being looked at."""
    try:
        return remove()
    except (ComputeError, OSError) as error:
        logger.warning("Environment %s cannot be removed: %s", environment, error)
        return False
