"""What the tasks of a run were told of each other."""

from __future__ import annotations

import json

from runs.ingest.meeting import cluster_of
from runs.models import Run
from runs.selectors.tasks import address_words


def tf_config_of(run: Run) -> str:
    """TF_CONFIG of the last attempt as its tasks have it, but for ``task``, by which each knows which one it is. Empty
    before all have met, and for a run whose tasks do not meet."""
    attempt = run.attempts.order_by("-number").first()
    members = cluster_of(attempt.pk) if attempt else None
    if not members:
        return ""
    groups: dict[str, list[tuple[int, str]]] = {}
    for one in members:
        role, _, index = one["member"].rpartition("-")
        if one["port"] is not None:
            groups.setdefault(role, []).append((int(index), address_words(one)))
    cluster = {role: [address for _, address in sorted(found)] for role, found in groups.items()}
    return json.dumps({"cluster": cluster, "environment": "cloud"}, indent=1)
