"""What a start and an end say on the terminal."""

import getpass
import os
from collections.abc import Mapping
from typing import Any

from config.env import Env
from config.secrets import public_url

WIDTH = 78


def ready(env: Env, facts: Mapping[str, Any], *, environ: Mapping[str, str] | None = None) -> str:
    """The box with the address, the sign-in link, the example's run and the line for those who come over ssh."""
    address = public_url(env)
    lines = [f"Trainhouse is ready:  {address}"]
    if facts.get("signin_path"):
        lines += ["", "Sign in as the first administrator (once, within 24 hours):", address + facts["signin_path"]]
    for path, is_new in facts.get("demos", ()):
        words = "The example has been submitted:" if is_new else "The example is still running:"
        lines += ["", words, address + path]
    tunnel = ssh_line(env, os.environ if environ is None else environ)
    if tunnel:
        lines += ["", "From your own computer, first:", tunnel]
    for warning in facts.get("warnings", ()):
        lines += ["", f"Warning: {warning}"]
    lines += ["", "Ctrl-C stops the platform; training goes on."]
    return box(lines)


def box(lines: list[str]) -> str:
    """The lines between two rules: nothing at their ends, so that an address can be copied whole."""
    return "\n".join(["", "=" * WIDTH, *(f"  {line}".rstrip() for line in lines), "=" * WIDTH, ""])


def ssh_line(env: Env, environ: Mapping[str, str]) -> str:
    """The ``ssh -L`` command that brings the port to a person who sits elsewhere; empty when not over ssh."""
    words = environ.get("SSH_CONNECTION", "").split()
    if len(words) != 4 or env.public_url:
        return ""
    _, _, server, server_port = words
    port_option = "" if server_port == "22" else f"-p {server_port} "
    host = env.host if env.host not in ("0.0.0.0", "::", "") else "127.0.0.1"  # noqa: S104
    host = f"[{host}]" if ":" in host else host
    return f"ssh {port_option}-L {env.port}:{host}:{env.port} {getpass.getuser()}@{server}"


def goodbye(active_runs: int) -> str:
    """What remains when the platform stops."""
    if active_runs == 0:
        return "Stopping. No run is active."
    runs = "1 run is active" if active_runs == 1 else f"{active_runs} runs are active"
    return f"Stopping. Training goes on: {runs}; start again to watch."
