"""Hiding what is probably a secret, by the name of the variable that holds it."""

import re

SECRET_NAME = re.compile(r"secret|token|passw|passphrase|credential|private|api_?key|access_?key|auth", re.IGNORECASE)
MASK = "••••••"


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name probably holds a secret."""
    return SECRET_NAME.search(name) is not None


def mask(name: str, value: str) -> str:
    """``value``, or dots in its place when ``name`` looks like a secret's."""
    return MASK if is_secret_name(name) and value else value
