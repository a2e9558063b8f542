"""The environment variables of what the local target starts.

Nothing of the server's own environment reaches a script, a harness or a build, but for the names listed here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from compute.backends.local.caches import cache_environ
from compute.backends.local.identities import Identity
from compute.masking import mask
from compute.plan import TaskPlan

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: How programs on this machine reach the network, and check whom they reach.
NETWORK = frozenset(
    {
        *("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"),
        *("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    }
)
#: Where the machine keeps its clock and its GPU driver.
MACHINE = frozenset({"TZ", "LD_LIBRARY_PATH", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"})
#: Which package index a build asks. These may carry a password, so builds alone see them.
PACKAGE_INDEX_PREFIXES = ("UV_", "PIP_")
#: Of these, what would lead a build's files away from their place.
_NOT_FOR_BUILDS = frozenset(
    {
        *("UV_CACHE_DIR", "UV_PYTHON_INSTALL_DIR", "UV_PROJECT_ENVIRONMENT", "UV_TOOL_DIR", "UV_TOOL_BIN_DIR"),
        *("UV_PYTHON", "UV_PROJECT", "UV_WORKING_DIR", "UV_SYSTEM_PYTHON", "UV_ENV_FILE", "UV_LINK_MODE"),
        *("PIP_CACHE_DIR", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_SRC", "PIP_LOG", "PIP_REQUIRE_VIRTUALENV"),
    }
)


def script_environ(
    plan: TaskPlan, *, folder: Path, tools: Path, identity: Identity, cache: Path | None = None
) -> dict[str, str]:
    """The whole environment of the script. ``cache`` is the folder for what libraries download.

    The plan's variables win over the defaults, but not over what tells the in-job API where it is, and not over the
    GPUs that are leased: those of others stay out of sight.
    """
    home = folder / "home"
    environ = {
        **_passed_through(NETWORK | MACHINE),
        "PATH": SYSTEM_PATH,
        "HOME": str(home),
        "TMPDIR": str(folder / "tmp"),
        "USER": identity.name,
        "LOGNAME": identity.name,
        "SHELL": "/bin/sh",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": str(home / ".config" / "matplotlib"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        **(cache_environ(cache) if cache is not None else {}),
        **plan.environ,
    }
    if plan.environment is not None:
        environ["VIRTUAL_ENV"] = str(plan.environment.path)
        environ["PATH"] = f"{plan.environment.path / 'bin'}{os.pathsep}{environ['PATH']}"
        if (plan.environment.path / "conda-meta").is_dir():
            environ["CONDA_PREFIX"] = str(plan.environment.path)
        if _is_sealed(plan.environment.path):
            # Everything there is compiled, and nothing could be written: each import would try in vain.
            environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    environ["PYTHONPATH"] = os.pathsep.join(
        [str(tools / "trainhouse" / "hook"), str(tools), *filter(None, [environ.get("PYTHONPATH")])]
    )
    environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # the order in which the driver numbers them
    environ["CUDA_VISIBLE_DEVICES"] = ",".join(str(index) for index in plan.gpu_indexes)
    environ |= {
        "TRAINHOUSE_TASK": plan.key,
        "TRAINHOUSE_RANK": str(plan.index),
        "TRAINHOUSE_POINTS": str(folder / "spool" / "points"),
        "TRAINHOUSE_UPLOADS": str(folder / "uploads"),
        "TRAINHOUSE_OUTPUTS": str(folder / "work" / "outputs"),
    }
    environ.pop("TRAINHOUSE_KERAS_METRICS", None)
    if plan.keras_metrics:
        environ["TRAINHOUSE_KERAS_METRICS"] = "1"
    return environ


def harness_environ(key: str, *, folder: Path) -> dict[str, str]:
    """The environment of a harness. It talks to the server on this machine, so no proxy is named to it."""
    return {
        "PATH": SYSTEM_PATH,
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        "TRAINHOUSE_TASK": key,
        **_passed_through({"SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH"}),
    }


def build_environ(
    environ: Mapping[str, str], *, build: Path, identity: Identity, index: Mapping[str, str]
) -> dict[str, str]:
    """The environment of a build: the way to the package index (the machine's variables, and on top of them
    ``index``), folders of the build's own, and ``environ``."""
    named = {name for name in os.environ if name.startswith(PACKAGE_INDEX_PREFIXES)} - _NOT_FOR_BUILDS
    return {
        # What one build leaves in its home is neither the configuration nor a library of the next.
        "XDG_CONFIG_HOME": "/nonexistent",
        "PYTHONNOUSERSITE": "1",
        **_passed_through(NETWORK | MACHINE | named),
        **index,
        "PATH": SYSTEM_PATH,
        "HOME": str(build / "home"),
        "TMPDIR": str(build / "tmp"),
        "XDG_CACHE_HOME": str(build / "cache"),
        "UV_CACHE_DIR": str(build / "cache" / "uv"),
        "USER": identity.name,
        "LOGNAME": identity.name,
        "LANG": "C.UTF-8",
        **environ,
    }


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` for a page: values whose name says that they are secret are hidden."""
    return {name: mask(name, value) for name, value in sorted(environ.items())}


def _passed_through(names: Iterable[str]) -> dict[str, str]:
    return {name: os.environ[name] for name in sorted(names) if name in os.environ}


def _is_sealed(path: Path) -> bool:
    try:
        return not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
    except OSError:
        return False
