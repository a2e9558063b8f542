"""Django's system checks for an installation: combinations of settings that would hurt. ``manage.py check``."""

import ipaddress
import os
import stat
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from config.env import Env

#: ``manage.py up`` runs the checks of this tag before it starts anything.
TAG = "trainhouse"


@register(TAG)
def check_installation(app_configs: Any, **kwargs: object) -> list[CheckMessage]:
    env: Env = settings.ENV
    return [*exposure_problems(env), *key_problems(env)]


def exposure_problems(env: Env) -> list[CheckMessage]:
    """What others on the network could see or do."""
    if is_loopback(env.host):
        return []
    problems: list[CheckMessage] = []
    if env.debug:
        problems.append(
            Error(
                f"TRAINHOUSE_DEBUG is on while the server listens on {env.host}: its error pages show settings and "
                "code to everyone who can reach it.",
                hint="Turn TRAINHOUSE_DEBUG off, or set TRAINHOUSE_HOST to 127.0.0.1.",
                id="trainhouse.E001",
            )
        )
    if urlsplit(env.public_url).scheme != "https":
        problems.append(
            Warning(
                f"The server listens on {env.host} without encryption: passwords can be read on the way.",
                hint="Put a proxy with HTTPS in front and set TRAINHOUSE_PUBLIC_URL to its https:// address.",
                id="trainhouse.W001",
            )
        )
    return problems


def key_problems(env: Env) -> list[CheckMessage]:
    """Whether the installation's key is the server's alone."""
    path = env.data_dir / "secret.key"
    try:
        facts = path.stat()
    except OSError:
        return []
    if facts.st_uid == os.geteuid() and not facts.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return []
    return [
        Error(
            f"{path} can be read by others; whoever has it can sign in as anyone.",
            hint=f"chmod 600 {path}, owned by the server's user.",
            id="trainhouse.E002",
        )
    ]


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to a server that listens on ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
