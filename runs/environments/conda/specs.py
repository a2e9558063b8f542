"""One line of conda packages: ``numpy``, ``numpy=1.26``, ``numpy>=1.20,<2``, ``conda-forge::numpy``. Pure.

The notation: https://docs.conda.io/projects/conda/en/stable/user-guide/concepts/pkg-specs.html. Addresses, files and
the bracket form are refused; rattler reads the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from runs.environments.conda.channels import channel_address, channel_problem
from runs.errors import EnvironmentFailed

MOST_CHARACTERS = 300
_LINE = re.compile(
    r"(?:(?P<channel>[^\s\[\]]+)::)?(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)(?P<rest>\s*(?:[=<>!~]|\s[0-9*]).*)?", re.ASCII
)
_REST = re.compile(r"[A-Za-z0-9_.,|<>=!~*+ -]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaSpec:
    """A package in one spelling. ``version`` is conda's expression, such as ``1.26.*`` or ``>=1.20,<2``; ``channel``
    the address of the one channel that it may come from; all but ``name`` may be empty."""

    name: str
    version: str = ""
    build: str = ""
    channel: str = ""

    @property
    def text(self) -> str:
        """As rattler reads it. A channel goes in by its address: rattler's own idea of names does not count."""
        words = " ".join(filter(None, [self.name, self.version or (self.build and "*"), self.build]))
        return f'{words}[channel="{self.channel}"]' if self.channel else words


def conda_spec(line: str) -> CondaSpec:
    """``line`` as a spec. Raises EnvironmentFailed with a sentence that begins with the line."""
    match = _LINE.fullmatch(line.strip())
    if match is None or len(line) > MOST_CHARACTERS or not _REST.fullmatch(match["rest"] or ""):
        shown = line if len(line) <= MOST_CHARACTERS else f"{line[:MOST_CHARACTERS]}…"
        raise EnvironmentFailed(
            f"{shown!r} is no conda package. Write it like numpy, numpy=1.26 or numpy>=1.20,<2; conda-forge::numpy "
            "names its channel."
        )
    channel = match["channel"] or ""
    wrong = channel_problem(channel) if channel else ""
    if wrong:
        raise EnvironmentFailed(f"{line!r}: the channel {channel!r} {wrong}")
    # A large extension module: only processes that meet a conda package load it.
    from rattler import MatchSpec
    from rattler.exceptions import InvalidMatchSpecError

    try:
        spec = MatchSpec(f"{match['name'].lower()}{match['rest'] or ''}")
    except InvalidMatchSpecError as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise EnvironmentFailed(f"{line!r} is no conda package: {reason}. Write it like numpy=1.26.") from error
    return CondaSpec(
        name=match["name"].lower(),
        version=str(spec.version or ""),
        build=str(spec.build or ""),
        channel=channel_address(channel) if channel else "",
    )


def conda_allows(version: str, expression: str) -> bool:
    """Whether ``expression``, such as ``3.11.*|>=3.12``, allows ``version``; an empty one allows all."""
    from rattler import Version, VersionSpec

    return not expression or VersionSpec(expression).matches(Version(version))
