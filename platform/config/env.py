"""The environment, read once and checked: every setting of an installation has a field here.

Each field is read from ``TRAINHOUSE_<NAME>``, or from the file named by ``TRAINHOUSE_<NAME>_FILE`` (for secrets
handed over as files). A value that cannot be understood, or a ``TRAINHOUSE_`` variable that no field knows, stops
the process at its start with a sentence that names it. ``DATABASE_URL`` and ``REDIS_URL`` keep their usual names.
"""

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

PREFIX = "TRAINHOUSE_"
CONDA_FALLBACKS = ("pypi", "off")
CHANNEL_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*){0,3}", re.ASCII)
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

#: Variables of the same prefix that are no settings of the server: the tests' switch and what a run's task sees.
NOT_SETTINGS = frozenset({"TRAINHOUSE_CI", "TRAINHOUSE_PART"})


class SettingError(Exception):
    """A setting cannot be used. The text names the variable, its value and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Env:
    """The settings of one installation. Sizes are bytes, times seconds."""

    data_dir: Path = field(default_factory=lambda: default_data_dir())
    runtime_dir: str = ""
    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str = ""
    allowed_hosts: tuple[str, ...] = ()
    debug: bool = False
    secret_key: str = ""
    log_level: str = "INFO"
    members_may_use_local: bool = False
    allow_url_packages: bool = False
    conda_channels: tuple[str, ...] = ("conda-forge",)
    conda_channel_alias: str = "https://conda.anaconda.org"
    conda_fallback: str = "pypi"
    wheelhouse: str = ""
    run_user_ids: str = "200000-265535"
    local_cpu_slots: int = 0
    local_nodes: int = 1
    local_simulated_gpus: int = 0
    local_ports: str = "20000-27999"
    snapshot_max_bytes: int = 300 * 1024 * 1024
    snapshot_max_files: int = 2000
    environments_max_bytes: int = 100 * 1024**3
    log_limit_bytes: int = 2 * 1024 * 1024 * 1024
    preparing_deadline_s: int = 7200
    starting_deadline_s: int = 120
    stopping_deadline_s: int = 600
    stop_grace_s: int = 15
    rest_grace_s: int = 30
    token_days: int = 7
    database_url: str = ""
    redis_url: str = ""


def read(environ: Mapping[str, str] | None = None) -> Env:
    """The settings in ``environ`` (default: the process's own). Raises SettingError."""
    environ = os.environ if environ is None else environ
    fields = {f.name: f for f in dataclasses.fields(Env)}
    values: dict[str, object] = {}
    for name in fields:
        variable = name.upper() if name in ("database_url", "redis_url") else PREFIX + name.upper()
        text = _text(environ, variable)
        if text is not None:
            values[name] = _parse(variable, text, fields[name].type)
    known = {PREFIX + name.upper() for name in fields} | NOT_SETTINGS
    for variable in environ:
        if not variable.startswith(PREFIX):
            continue
        if variable in known or variable.removesuffix("_FILE") in known:
            continue
        raise SettingError(
            f"{variable} is set, but there is no such setting. Known: {', '.join(sorted(known - NOT_SETTINGS))}."
        )
    env = Env(**values)  # type: ignore[arg-type]
    _check(env)
    return env


def default_data_dir() -> Path:
    """Where state lives when nothing is said: the system's place for root, the user's own otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/trainhouse")
    share = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(share) / "trainhouse"


def _check(env: Env) -> None:
    if not 1 <= env.port <= 65535:
        raise SettingError(f"TRAINHOUSE_PORT is {env.port}; it must be between 1 and 65535.")
    if env.log_level.upper() not in LOG_LEVELS:
        raise SettingError(f"TRAINHOUSE_LOG_LEVEL is {env.log_level!r}; it must be one of {', '.join(LOG_LEVELS)}.")
    if env.wheelhouse and not (env.wheelhouse.startswith("/") and Path(env.wheelhouse).is_dir()):
        raise SettingError(f"TRAINHOUSE_WHEELHOUSE is {env.wheelhouse!r}; it must be the full path of a folder.")
    if env.public_url and urlsplit(env.public_url).scheme not in ("http", "https"):
        raise SettingError(f"TRAINHOUSE_PUBLIC_URL is {env.public_url!r}; it must begin with http:// or https://.")
    if env.conda_fallback not in CONDA_FALLBACKS:
        allowed = ", ".join(CONDA_FALLBACKS)
        raise SettingError(f"TRAINHOUSE_CONDA_FALLBACK is {env.conda_fallback!r}; it must be one of {allowed}.")
    _check_channel("TRAINHOUSE_CONDA_CHANNEL_ALIAS", env.conda_channel_alias)
    if not env.conda_channels:
        raise SettingError("TRAINHOUSE_CONDA_CHANNELS is empty; name at least one channel, such as conda-forge.")
    for channel in env.conda_channels:
        if "://" in channel:
            _check_channel("TRAINHOUSE_CONDA_CHANNELS", channel)
        elif not CHANNEL_NAME.fullmatch(channel):
            raise SettingError(
                f"TRAINHOUSE_CONDA_CHANNELS names {channel!r}, which is neither a channel's name, such as conda-forge, "
                "nor an address: https://, http:// or file://."
            )


def _check_channel(variable: str, address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https", "file") or not (parts.netloc or parts.scheme == "file"):
        raise SettingError(f"{variable} names {address!r}; an address begins with https://, http:// or file://.")
    if "@" in parts.netloc or parts.path.startswith("/t/") or parts.query or parts.fragment:
        raise SettingError(
            f"{variable} names an address of {parts.hostname or 'a channel'} with a user, a password or a token, which "
            "would be seen in locks and logs. Leave them out."
        )


def _text(environ: Mapping[str, str], variable: str) -> str | None:
    if variable in environ:
        return environ[variable]
    path = environ.get(f"{variable}_FILE")
    if path is None:
        return None
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise SettingError(f"{variable}_FILE names {path}, which cannot be read: {error.strerror}.") from error


def _parse(variable: str, text: str, kind: object) -> object:
    if kind is bool:
        return _parse_bool(variable, text)
    if kind is int:
        try:
            number = int(text)
        except ValueError as error:
            raise SettingError(f"{variable} is {text!r}; it must be a whole number.") from error
        if number < 0:
            raise SettingError(f"{variable} is {number}; it must not be negative.")
        return number
    if kind == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind is Path:
        if not text:
            raise SettingError(f"{variable} is empty; it must name a folder.")
        return Path(text).expanduser().absolute()
    return text


def _parse_bool(variable: str, text: str) -> bool:
    word = text.strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off", ""):
        return False
    raise SettingError(f"{variable} is {text!r}; it must be one of 1, 0, true, false, yes, no, on, off.")
