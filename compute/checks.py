"""System checks of the local target: what would make every launch fail is said before the first one."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from compute.backends.local.identities import Identities, barred_folder

#: The tag under which ``manage.py up`` asks before it starts anything.
TAG = "trainhouse"


@register(TAG)
def check_local_target(app_configs: Any, **kwargs: object) -> list[CheckMessage]:
    """Whether the user ids can be used, and whether their users can reach the data folder."""
    try:
        identities = Identities.parse(settings.ENV.run_user_ids)
    except ValueError as error:
        return [Error(str(error), id="trainhouse.E101")]
    data = Path(settings.DATA_DIR)
    barred = barred_folder(data / "tasks", identities.build) if data.is_dir() else None
    if barred is None:
        return []
    return [
        Error(
            f"Builds and runs have users of their own, and these may not enter {barred}, below which the data folder "
            f"{data} lies.",
            hint="Set TRAINHOUSE_DATA_DIR to a folder that everybody may pass through, such as /var/lib/trainhouse, "
            f"or allow it: chmod o+x {barred}",
            id="trainhouse.E102",
        )
    ]
