"""Where builds get packages from: the machine's settings for pip and uv, in the words that uv takes.

uv reads its own variables and files, and none of pip's; so what is set for pip alone is said again for uv. Files of
the server's user are handed over by content, since the user that builds cannot read them. What uv is told directly
wins over what pip is told.
"""

from __future__ import annotations

import configparser
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from compute.masking import MASK, is_secret_name

_MOST_FILE_BYTES = 4 * 1024 * 1024
_SHORTEST_SECRET = 4
#: The last @ before the path ends it, as for whoever reads the address. A proxy may be named without its scheme.
_USER_INFO = re.compile(r"(?:(?<=://)[^/\s]+|^[^/\s:@]+:(?!//)[^/\s]+)(?=@)")
_QUERY = re.compile(r"(?<=://)([^\s?]+)\?\S+")
_TOML_INDEX = re.compile(r"^\s*(?:\[\[(?:pip\.)?index\]\]|(?:index|index-url|extra-index-url)\s*=)", re.MULTILINE)
_NETRC_PASSWORD = re.compile(r"\bpassword\s+(\S+)")
_NO_INDEX = b"no-index = true\n"
#: What uv and pip take for yes in a variable.
TRUE = frozenset({"1", "true", "yes", "on", "y", "t"})

#: With one of these, uv is told where to look, whatever pip is told.
_OWN_INDEX = frozenset({"UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"})
#: pip's settings for everybody on the machine.
PIP_MACHINE_FILE = Path("/etc/pip.conf")

#: Variables that are worth an administrator's look, in this order.
_SHOWN = (
    *("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_INDEX_STRATEGY"),
    *("UV_FIND_LINKS", "UV_INSECURE_HOST", "UV_KEYRING_PROVIDER", "UV_HTTP_TIMEOUT", "UV_HTTP_RETRIES"),
    *("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "SSL_CLIENT_CERT", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageIndex:
    """What a build is told. ``variables`` come on top of the machine's own; ``files`` are contents by name, and
    ``file_variables`` say which variable names which file (``.`` is the folder of all). ``origins`` are the settings
    that were found, ``secrets`` what must never be shown."""

    variables: dict[str, str] = field(repr=False)
    files: dict[str, bytes] = field(repr=False)
    file_variables: dict[str, str]
    origins: tuple[str, ...]
    secrets: tuple[str, ...] = field(repr=False)
    shown: tuple[tuple[str, str], ...] = ()


def package_index(environ: Mapping[str, str], *, wheelhouse: str = "") -> PackageIndex:
    """What the machine says, for a server whose own variables are ``environ``. ``wheelhouse`` is a folder of packages
    that is looked into beside the index. Reads a few small files; what cannot be read is left aside."""
    pip, origins = _pip_options(environ)
    files, file_variables = _files(environ, pip)
    toml = (files.get("uv.toml") or files.get("uv/uv.toml") or b"").decode("utf-8", "replace")
    origins += [f"uv's file {_uv_file(environ)}"] if toml and toml.encode() != _NO_INDEX else []
    origins += [f"netrc file {_netrc(environ)}"] if "netrc" in files else []
    variables = _translated(environ, pip, has_own_index=_TOML_INDEX.search(toml) is not None)
    links = _links(environ, pip, wheelhouse)
    if links:
        variables["UV_FIND_LINKS"] = ",".join(links)
    effective = {**environ, **variables}
    shown = [(name, without_credentials(effective[name])) for name in _SHOWN if effective.get(name)]
    if _NO_INDEX in files.values():
        shown.insert(0, ("no-index", "no index is asked"))
    return PackageIndex(
        variables=variables,
        files=files,
        file_variables=file_variables,
        origins=tuple(origins),
        secrets=_secrets(effective, pip, files),
        shown=tuple(shown),
    )


def without_credentials(text: str) -> str:
    """``text`` for showing: no users, passwords or queries in its addresses."""
    return _QUERY.sub(rf"\1?{MASK}", _USER_INFO.sub(MASK, text))


def _translated(environ: Mapping[str, str], pip: Mapping[str, str], *, has_own_index: bool) -> dict[str, str]:
    said: dict[str, str] = {}

    def say(name: str, value: str, *, unless: frozenset[str] = frozenset()) -> None:
        if value and not (unless | {name}) & environ.keys():
            said[name] = value

    if not has_own_index and not _has_no_index(pip):
        say("UV_DEFAULT_INDEX", pip.get("index-url", ""), unless=frozenset({"UV_INDEX_URL"}))
        say("UV_INDEX", " ".join(pip.get("extra-index-url", "").split()), unless=frozenset({"UV_EXTRA_INDEX_URL"}))
        if "UV_INDEX" in said:
            # pip takes the best version of all indexes; uv by itself would take those of the first that has any.
            say("UV_INDEX_STRATEGY", "unsafe-best-match")
    say("UV_INSECURE_HOST", " ".join(pip.get("trusted-host", "").split()))
    say("UV_HTTP_TIMEOUT", pip.get("timeout", ""), unless=frozenset({"UV_REQUEST_TIMEOUT", "HTTP_TIMEOUT"}))
    for name in ("HTTPS_PROXY", "HTTP_PROXY"):
        say(name, pip.get("proxy", ""), unless=frozenset({name.lower(), "ALL_PROXY", "all_proxy"}))
    return said


def _links(environ: Mapping[str, str], pip: Mapping[str, str], wheelhouse: str) -> list[str]:
    """Folders and pages of packages. A folder that is not there is passed over, as pip does; uv would fail."""
    own = environ.get("UV_FIND_LINKS")
    found = own.split(",") if own is not None else pip.get("find-links", "").split()
    links = [link.strip() for link in [wheelhouse, *found] if link.strip()]
    return [link for link in dict.fromkeys(links) if "://" in link or Path(link).is_dir()]


def _files(environ: Mapping[str, str], pip: Mapping[str, str]) -> tuple[dict[str, bytes], dict[str, str]]:
    certificates = (
        environ.get("SSL_CERT_FILE")
        or pip.get("cert")
        or environ.get("REQUESTS_CA_BUNDLE")
        or environ.get("CURL_CA_BUNDLE")
        or ""
    )
    own = environ.get("UV_CONFIG_FILE")
    uv_name = "uv.toml" if own else "uv/uv.toml"
    wanted = [
        ("UV_CONFIG_FILE" if own else "XDG_CONFIG_HOME", uv_name, "" if _no_config(environ) else _uv_file(environ)),
        ("NETRC", "netrc", _netrc(environ)),
        ("SSL_CERT_FILE", "certificates.pem", certificates),
        ("GIT_SSL_CAINFO", "certificates.pem", certificates),
        ("SSL_CLIENT_CERT", "client.pem", environ.get("SSL_CLIENT_CERT") or pip.get("client-cert") or ""),
    ]
    files: dict[str, bytes] = {}
    variables: dict[str, str] = {}
    for variable, name, path in wanted:
        content = _content(path)
        if content is not None:
            files[name] = content
            variables[variable] = "." if variable == "XDG_CONFIG_HOME" else name
    if _has_no_index(pip) and not own and "uv/uv.toml" not in files and not _OWN_INDEX & environ.keys():
        files["uv/uv.toml"], variables["XDG_CONFIG_HOME"] = _NO_INDEX, "."  # uv has no variable for it
    return files, variables


def _has_no_index(pip: Mapping[str, str]) -> bool:
    return pip.get("no-index", "").lower() in TRUE


def _no_config(environ: Mapping[str, str]) -> bool:
    return environ.get("UV_NO_CONFIG", "").lower() in TRUE


def _uv_file(environ: Mapping[str, str]) -> str:
    """uv's settings of the server's user; those of the machine (/etc/uv) every user reads by itself."""
    return environ.get("UV_CONFIG_FILE") or str(_config_home(environ) / "uv" / "uv.toml")


def _netrc(environ: Mapping[str, str]) -> str:
    return environ.get("NETRC") or str(_home(environ) / ".netrc")


def _pip_options(environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """pip's options, later sources winning, and the names of the sources that were there
    (https://pip.pypa.io/en/stable/topics/configuration/)."""
    options: dict[str, str] = {}
    origins: list[str] = []
    for path in _pip_files(environ):
        content = _content(str(path))
        if content is None:
            continue
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(content.decode("utf-8", "replace"))
        except configparser.Error:
            origins.append(f"pip's file {path}, which cannot be read")
            continue
        origins.append(f"pip's file {path}")
        for section in ("global", "install"):
            if parser.has_section(section):
                options |= {_option(name): value for name, value in parser.items(section)}
    said = {_option(name[4:]): value for name, value in environ.items() if name.startswith("PIP_") and value}
    return {**options, **said}, origins


def _pip_files(environ: Mapping[str, str]) -> list[Path]:
    own = environ.get("PIP_CONFIG_FILE")
    if own == os.devnull:
        return []
    shared = [Path(folder) / "pip" / "pip.conf" for folder in environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")]
    users = [_home(environ) / ".pip" / "pip.conf", _config_home(environ) / "pip" / "pip.conf"]
    return [*shared, PIP_MACHINE_FILE, *users, Path(sys.prefix) / "pip.conf", *([Path(own)] if own else [])]


def _option(name: str) -> str:
    name = name.lower().replace("_", "-").lstrip("-")
    return "timeout" if name == "default-timeout" else name


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or os.path.expanduser("~"))


def _config_home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("XDG_CONFIG_HOME") or _home(environ) / ".config")


def _content(path: str) -> bytes | None:
    if not path:
        return None
    try:
        with open(path, "rb") as file:
            return file.read(_MOST_FILE_BYTES) or None
    except OSError:
        return None


def _secrets(environ: Mapping[str, str], pip: Mapping[str, str], files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Passwords in variables, addresses and files, as they are written and as they are meant."""
    texts = [
        value for name, value in environ.items() if name.startswith(("UV_", "PIP_")) or name.lower().endswith("proxy")
    ]
    texts += [*pip.values(), *(files[name].decode("utf-8", "replace") for name in files if name.endswith(".toml"))]
    found = {value for name, value in environ.items() if is_secret_name(name) and name.startswith(("UV_", "PIP_"))}
    for text in texts:
        for info in _USER_INFO.findall(text):
            written = info.partition(":")[2] or info
            found |= {written, unquote(written)}
    found |= set(_NETRC_PASSWORD.findall(files.get("netrc", b"").decode("utf-8", "replace")))
    return tuple(sorted((secret for secret in found if len(secret) >= _SHORTEST_SECRET), key=len, reverse=True))
