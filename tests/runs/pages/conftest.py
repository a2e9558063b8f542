"""Someone signed in, a machine to submit to, and the answers of a form."""

import io
import uuid
import zipfile
from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from compute.models import ComputeTarget
from runs.environments.checker import Checker
from runs.environments.foresight import Finding, Outcome
from tests.factories import make_target


@pytest.fixture(autouse=True)
def _members_may_use_local(settings):
    """What is asked here does not depend on who started the tests."""
    settings.ENV = settings.ENV.__class__(
        **{name: getattr(settings.ENV, name) for name in settings.ENV.__slots__} | {"members_may_use_local": True}
    )


@pytest.fixture(autouse=True)
def _index_is_left_alone(monkeypatch):
    """The form asks the package index in the background; the tests of that ask one of their own."""
    finding = Finding(outcome=Outcome.UNCHECKED, sentence="The packages were not checked in this test.")
    monkeypatch.setattr("runs.services.checking.packages_foresee", lambda canonical, backend: finding)
    monkeypatch.setattr("runs.services.checking._checker", Checker())


@pytest.fixture
def local(db) -> ComputeTarget:
    return make_target(name="local", cpu_slots=2)


@pytest.fixture
def person(member) -> Client:
    """The member's browser, without scripts."""
    client = Client()
    client.force_login(member)
    return client


def zip_file(files: dict[str, str] | None = None, name: str = "digits.zip") -> SimpleUploadedFile:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in (files or {"train.py": "print('hello')\n"}).items():
            archive.writestr(path, text)
    return SimpleUploadedFile(name, buffer.getvalue(), "application/zip")


@pytest.fixture
def answers() -> Callable[..., dict[str, object]]:
    """The fields of a form that can be submitted as it is; keyword arguments override, None leaves a field out."""

    def make(**changes: object) -> dict[str, object]:
        fields = {
            "submission_key": str(uuid.uuid4()),
            "source": "upload",
            "archive": zip_file(),
            "entry_script": "train.py",
            "compute_target": "local",
            "keras_metrics": "on",
            "experiment": "digits",
            **changes,
        }
        return {name: value for name, value in fields.items() if value is not None}

    return make
