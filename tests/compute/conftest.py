"""Backends for these tests."""

import os

import pytest

from tests.compute.plans import local_backend
from tests.conftest import missing

#: One row a kind of backend and way of running it.
BACKENDS = {
    "local, a user for each task": lambda: local_backend(separate=True),
    "local, all as the server's user": lambda: local_backend(separate=False),
}


@pytest.fixture(params=list(BACKENDS))
def backend(request):
    """Every backend in turn."""
    if "a user for each task" in request.param and os.geteuid() != 0:
        missing("to run as root")
    with BACKENDS[request.param]() as made:
        yield made


@pytest.fixture
def walled():
    """The local backend as root runs it."""
    if os.geteuid() != 0:
        missing("to run as root")
    with local_backend(separate=True) as made:
        yield made
