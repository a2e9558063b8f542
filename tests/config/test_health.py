"""Health addresses, for monitors."""

import pytest

from config import __version__

pytestmark = pytest.mark.django_db


def test_healthz_says_who_answers(client):
    answer = client.get("/healthz")
    assert answer.json() == {"service": "trainhouse", "version": __version__}
    assert "no-store" in answer["Cache-Control"]


def test_readyz_is_well_with_database_and_redis(client, redis_server):
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"database": "ok", "redis": "ok"}


def test_readyz_names_the_part_that_is_away(client, settings, tmp_path):
    settings.REDIS_URL = f"unix://{tmp_path}/nobody.sock"
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"database": "ok", "redis": "ConnectionError"}
