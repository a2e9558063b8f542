"""Secrets at rest."""

import pytest

from runs.errors import UserError
from runs.sealing import seal, unseal


def test_what_is_sealed_comes_back_and_cannot_be_read_meanwhile():
    text = seal({"TOKEN": "hunter2 🦊"})
    assert "hunter2" not in text
    assert unseal(text) == {"TOKEN": "hunter2 🦊"}


def test_nothing_is_sealed_as_nothing():
    assert seal({}) == ""
    assert unseal("") == {}


def test_another_key_opens_nothing_and_says_what_to_do(settings):
    text = seal({"TOKEN": "hunter2"})
    settings.SECRET_KEY = "another"
    with pytest.raises(UserError, match="enter them again"):
        unseal(text)
