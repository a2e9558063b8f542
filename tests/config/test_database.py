"""One address names the database."""

from pathlib import Path

import pytest

from config import database
from config.env import SettingError


def test_nothing_said_is_sqlite_in_the_data_folder(tmp_path):
    found = database.from_url("", default_path=tmp_path / "house.sqlite3")
    assert (found["ENGINE"], found["NAME"]) == ("django.db.backends.sqlite3", str(tmp_path / "house.sqlite3"))
    assert found["OPTIONS"]["transaction_mode"] == "IMMEDIATE"


def test_an_address_of_postgresql_is_taken_apart_with_its_options(monkeypatch):
    monkeypatch.setattr(database, "find_spec", lambda name: object())
    found = database.from_url("postgres://me:p%40ss@db.example:5433/my%20house?sslmode=require", default_path=Path("x"))
    assert (found["USER"], found["PASSWORD"], found["HOST"], found["PORT"]) == ("me", "p@ss", "db.example", 5433)
    assert (found["NAME"], found["OPTIONS"]) == ("my house", {"sslmode": "require"})


def test_a_missing_driver_is_named_with_what_to_do(monkeypatch):
    monkeypatch.setattr(database, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"psycopg\[binary\]"):
        database.from_url("postgres://h/n", default_path=Path("x"))


def test_another_kind_of_database_is_refused():
    with pytest.raises(SettingError, match="mysql"):
        database.from_url("mysql://h/n", default_path=Path("x"))
