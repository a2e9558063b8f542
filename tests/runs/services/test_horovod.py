"""What a submission with Horovod is told of its source."""

import io
import zipfile

import pytest

from compute.models import ComputeTarget
from runs.services.horovod import horovod_advice_at
from runs.snapshots import snapshot_from_zip
from runs.spec import RunSpec
from tests.factories import make_target

pytestmark = pytest.mark.django_db


def advice(monkeypatch, *, backend="mpi", **files):
    monkeypatch.setattr("runs.services.horovod.horovod_expectations", lambda *meant: [])
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        for name, text in files.items():
            made.writestr(f"{name}.py", text)
    target: ComputeTarget = make_target()
    snapshot = snapshot_from_zip(archive)
    return horovod_advice_at(target, RunSpec(distributed_backend=backend), snapshot=snapshot, definition=None)


def test_a_source_that_never_names_horovod_is_told_that_nothing_will_be_averaged(monkeypatch):
    [said] = advice(monkeypatch, train="import tensorflow")
    assert said.startswith("No Python file of the source names horovod: without hvd.init()")


def test_any_file_may_be_the_one_that_names_it(monkeypatch):
    assert advice(monkeypatch, train="import model", model="import horovod.tensorflow.keras as hvd") == []


def test_one_process_needs_none(monkeypatch):
    assert advice(monkeypatch, train="import tensorflow", backend=None) == []
