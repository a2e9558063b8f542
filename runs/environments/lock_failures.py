"""Why a lock cannot be installed once more, as a sentence. Written against the messages of uv 0.13."""

import re

_GONE = re.compile(
    r"(?:Because |and )(?:(?P<name>[A-Za-z0-9._-]+) was not found in the package registry"
    r"|there (?:is|are) no versions? of (?P<version>[^ ,]+))"
)
_OTHER_HASH = re.compile(r"Hash mismatch for `([^`]+)`")
_WAY_OUT = "Run again with updated packages, or update the environment, to take what the index has now."


def lock_failure_sentence(output: str) -> str:
    """What the index no longer gives of a lock, when that is why uv failed after saying ``output``; empty when it
    failed for another reason."""
    if re.search(r"Failed to build|Failed to download and build", output):
        return ""
    other = _OTHER_HASH.search(output)
    if other is not None:
        return (
            f"The lock has {other[1]} with another SHA-256 than what the package index gives now, so nothing was "
            f"installed. {_WAY_OUT}"
        )
    gone = _GONE.search(output)
    if gone is None:
        return ""
    return f"The lock has {_pinned(gone, output)}, which the package index no longer has. {_WAY_OUT}"


def _pinned(gone: re.Match[str], output: str) -> str:
    """The package with its version."""
    if gone["version"]:
        return gone["version"]
    required = re.search(rf"you require ({re.escape(gone['name'])}==[^ ,]+)", output)
    return required[1] if required else gone["name"]
