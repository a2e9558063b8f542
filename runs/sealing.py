"""Encryption at rest for values that look like secrets, with a key derived from the installation's own."""

import base64
import json
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

from runs.errors import UserError


def seal(values: dict[str, str]) -> str:
    """``values`` encrypted, as text; nothing for nothing."""
    return _fernet().encrypt(json.dumps(values).encode()).decode() if values else ""


def unseal(text: str) -> dict[str, str]:
    """What ``seal`` was given. Raises UserError when the installation's key has changed since."""
    if not text:
        return {}
    try:
        return json.loads(_fernet().decrypt(text.encode()))
    except InvalidToken as error:
        raise UserError(
            "The secret variables of this run were encrypted with another key of this installation. "
            "Clone the run and enter them again."
        ) from error


def _fernet() -> Fernet:
    digest = sha256(b"trainhouse sealed variables\0" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))
