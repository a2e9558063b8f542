"""What is vendored is what it says it is, and what templates point to is there."""

import hashlib
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.template.loader import get_template

STATIC = Path(settings.BASE_DIR) / "static"
TEMPLATES = Path(settings.BASE_DIR) / "templates"
VENDOR = STATIC / "vendor"
ROWS = re.findall(r"^\| `([^`]+)` \|.*`([0-9a-f]{64})` \|$", (VENDOR / "VENDORED.md").read_text(), re.MULTILINE)


def test_every_vendored_file_is_listed_with_its_checksum():
    listed = dict(ROWS)
    present = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir()}
    present.pop("VENDORED.md")
    assert present == listed


def test_every_icon_of_a_template_is_in_the_sprite():
    symbols = set(re.findall(r'<symbol id="([^"]+)"', (VENDOR / "icons.svg").read_text()))
    used = {
        (path.name, name)
        for path in TEMPLATES.rglob("*.html")
        for name in re.findall(r'{% icon "([^"]+)"', path.read_text())
    }
    assert {(place, name) for place, name in used if name not in symbols} == set()


def test_every_state_has_an_icon():
    from runs.states import EnvironmentState, RunState, TaskState

    symbols = (VENDOR / "icons.svg").read_text()
    for state in {*RunState.values, *TaskState.values, *EnvironmentState.values}:
        assert f'id="state-{state}"' in symbols, state


def test_nothing_points_to_another_origin_or_runs_inline():
    ours = [*TEMPLATES.rglob("*.html"), *(path for path in STATIC.rglob("*.js") if VENDOR not in path.parents)]
    for path in ours:
        text = path.read_text()
        assert not re.search(r"""(?:src|href|import|url\()\s*[=(]?\s*["']?(?:https?:)?//""", text), path
        assert not re.search(r"<script(?![^>]*\b(?:src|application/json)\b)", text), path
        assert not re.search(r"\son\w+\s*=\s*[\"']", text), path


@pytest.mark.parametrize("path", sorted(str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.html")))
def test_every_template_can_be_read(path):
    get_template(path)
