"""Which conda channels a run may use, and where they are.

A name such as ``conda-forge`` or ``conda-forge/label/main`` stands for a channel below the administrator's
``TRAINHOUSE_CONDA_CHANNEL_ALIAS``; an address counts only when it is one of ``TRAINHOUSE_CONDA_CHANNELS``, so that no
run can have the server fetch from a place of its own choice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from django.conf import settings

MOST_CHANNELS = 20
_MOST_CHARACTERS = 100
_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*(?:/[A-Za-z0-9_][\w.-]*){0,3}", re.ASCII)

#: conda's word for the channels of its own configuration; here, the administrator's.
_DEFAULTS = "defaults"
#: conda's word for "none but these", which holds anyway.
_NO_DEFAULTS = "nodefaults"


def channel_problem(name: str) -> str:
    """What is wrong with a channel that a run names, as the end of a sentence; empty when it may be used."""
    if name in (_DEFAULTS, _NO_DEFAULTS) or _plain(name) in _configured():
        return ""
    if "://" in name or name.startswith(("/", "~", ".")):
        return (
            "is no channel of this server. Name a channel, such as conda-forge; an address can be used when an "
            "administrator lists it in TRAINHOUSE_CONDA_CHANNELS."
        )
    if not _NAME.fullmatch(name) or len(name) > _MOST_CHARACTERS:
        return "is no channel's name. Write it like conda-forge or conda-forge/label/main."
    return ""


def channel_addresses(names: Sequence[str]) -> list[str]:
    """The addresses of the channels, in their order and each once; the administrator's when none is named."""
    addresses: list[str] = []
    for name in names:
        if name == _DEFAULTS:
            addresses += map(channel_address, settings.ENV.conda_channels)
        elif name != _NO_DEFAULTS:
            addresses.append(channel_address(name))
    return list(dict.fromkeys(addresses or map(channel_address, settings.ENV.conda_channels)))


def channel_address(name: str) -> str:
    """Where the channel ``name``, or the address ``name``, is; without a slash at its end."""
    return _plain(name) if "://" in name else f"{_plain(settings.ENV.conda_channel_alias)}/{name}"


def channel_shown(address: str) -> str:
    """The channel as people call it: its name where it lies below the alias."""
    return address.removeprefix(f"{_plain(settings.ENV.conda_channel_alias)}/")


def _configured() -> set[str]:
    return {_plain(name) for name in settings.ENV.conda_channels}


def _plain(name: str) -> str:
    return name.rstrip("/")
