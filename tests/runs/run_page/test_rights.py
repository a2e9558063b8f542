"""A run is seen by its owner and by administrators; to everyone else it does not exist."""

import pytest
from django.test import Client
from django.urls import reverse

from runs.models import Artifact
from tests.factories import make_run, make_stream, make_task, make_user
from tests.runs.run_page.conftest import FullRun


def addresses(full: FullRun) -> list[str]:
    pk = full.run.pk
    artifact = Artifact.objects.get(run=full.run)
    return [
        *(reverse(name, args=[pk]) for name in ("run", "run-metrics", "run-system", "run-logs", "run-files")),
        reverse("run-events", args=[pk]),
        reverse("run-series", args=[pk]),
        reverse("run-series-csv", args=[pk]),
        reverse("run-lines", args=[pk, full.output.pk]),
        reverse("run-raw", args=[pk, full.output.pk]),
        reverse("run-file", args=[pk, artifact.pk]),
    ]


def test_nobody_elses_run_is_there(full: FullRun):
    client = Client()
    client.force_login(make_user())
    for address in addresses(full):
        assert client.get(address).status_code == 404, address


def test_an_administrator_sees_every_run(full: FullRun):
    client = Client()
    client.force_login(make_user(is_staff=True))
    for address in addresses(full)[:-1]:
        assert client.get(address).status_code == 200, address


def test_who_is_signed_out_is_sent_to_the_door(full: FullRun):
    for address in addresses(full):
        answer = Client().get(address)
        assert answer.status_code == 302, address
        assert answer["Location"].startswith(reverse("account_login"))


@pytest.mark.parametrize("name", ["run-lines", "run-raw"])
def test_another_runs_log_is_not_reached_through_ones_own_run(page: Client, full: FullRun, name: str):
    theirs = make_stream(make_task(make_run()))
    assert page.get(reverse(name, args=[full.run.pk, theirs.pk])).status_code == 404


def test_another_runs_file_is_not_reached_through_ones_own_run(page: Client, full: FullRun):
    task = make_task(make_run())
    theirs = Artifact.objects.create(run=task.attempt.run, task=task, path="outputs/x", size_bytes=1, modified_at=1.0)
    assert page.get(reverse("run-file", args=[full.run.pk, theirs.pk])).status_code == 404
