"""System checks of the local target: what would make every launch fail is said before the first one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from compute.backends.local.identities import Identities, barred_folder
from compute.backends.local.layout import LIMITS
from compute.backends.local.ports import outgoing_ports, ports_parse

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


@register(TAG)
def check_local_nodes(app_configs: Any, **kwargs: object) -> list[CheckMessage]:
    """Whether the local target can be laid out as the settings say."""
    wanted = {
        "virtual_nodes": ("TRAINHOUSE_LOCAL_NODES", settings.ENV.local_nodes),
        "simulated_gpus": ("TRAINHOUSE_LOCAL_SIMULATED_GPUS", settings.ENV.local_simulated_gpus),
    }
    found: list[CheckMessage] = []
    for key, (variable, value) in wanted.items():
        least, most = LIMITS[key]
        if not least <= value <= most:
            found.append(Error(f"{variable} is {value}; it must be from {least} to {most}.", id="trainhouse.E103"))
    return found


@register(TAG)
def check_local_ports(app_configs: Any, **kwargs: object) -> list[CheckMessage]:
    """Whether the range of ports can be used, and whether it is for tasks alone."""
    try:
        first, last = ports_parse(settings.ENV.local_ports)
    except ValueError as error:
        return [Error(str(error), id="trainhouse.E104")]
    return [
        Warning(
            f"TRAINHOUSE_LOCAL_PORTS is {first}-{last}, and {others}: tasks that meet each other may find their port "
            "taken, and then take another.",
            hint="Choose a range apart from these.",
            id="trainhouse.W101",
        )
        for others in _others(first, last)
    ]


def _others(first: int, last: int) -> Iterator[str]:
    """Who else uses ports of this range, in words."""
    outgoing = outgoing_ports()
    if outgoing is not None and first <= outgoing[1] and outgoing[0] <= last:
        yield f"Linux gives {outgoing[0]}-{outgoing[1]} to outgoing connections"
    if first <= settings.ENV.port <= last:
        yield f"the platform itself listens at {settings.ENV.port}"
