"""What holds for the repository as a whole."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from config import __version__
from config.env import Env

ROOT = Path(__file__).resolve().parents[1]

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    return [ROOT / os.fsdecode(name) for name in listed.split(b"\0") if name]


def locked(name: str) -> dict[str, set[str]]:
    """The packages of a lock and the versions it holds for the various Pythons and machines."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / "requirements" / f"{name}.txt").read_text().splitlines():
        match = re.match(r"([A-Za-z0-9][\w.-]*)==(\S+)", line)
        if match:
            found.setdefault(match[1].lower(), set()).add(match[2])
    return found


def names(requirements: list[str]) -> set[str]:
    return {re.match(r"[\w.-]+", each)[0].lower().replace("_", "-") for each in requirements}


def test_pythons_own_platform_module_is_not_shadowed():
    code = "import sys; sys.path[:0] = ['.', 'platform', 'sdk']; import platform; print(platform.system())"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    assert answer.stdout.strip() == "Linux"
    assert not (ROOT / "platform" / "__init__.py").exists()


def test_imports_go_down_the_layers_only():
    environ = {**os.environ, "PYTHONPATH": "platform:sdk:."}
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_setting_is_documented_and_no_other():
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE))
    special = {"database_url", "redis_url"}
    fields = [field.name for field in dataclasses.fields(Env)]
    assert documented == {name.upper() if name in special else "TRAINHOUSE_" + name.upper() for name in fields}


def test_every_setting_is_used():
    code = "\n".join(
        path.read_text() for room in ("platform", "runs", "compute") for path in (ROOT / room).rglob("*.py")
    )
    unused = [field.name for field in dataclasses.fields(Env) if not re.search(rf"(?i:env)\.{field.name}\b", code)]
    assert unused == []


def test_the_version_is_the_same_everywhere():
    assert PROJECT["version"] == __version__


@pytest.mark.parametrize("name", ["server", "dev", "training", "uv"])
def test_locks_hold_versions_and_hashes_and_no_index(name):
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert "://" not in text
    assert "--index" not in text
    lines = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert lines
    assert all("==" in line and line.endswith("\\") for line in lines)


def test_locks_hold_what_the_project_asks_for():
    extras = PROJECT["optional-dependencies"]
    assert names(PROJECT["dependencies"]) - {"uvicorn"} <= locked("server").keys()
    assert names(extras["dev"]) <= locked("dev").keys()
    assert names(extras["training"]) <= locked("training").keys()
    assert not {"tensorflow", "tensorflow-cpu", "horovod", "keras"} & locked("server").keys()


def test_the_development_set_agrees_with_the_servers():
    server, dev = locked("server"), locked("dev")
    assert {name: dev.get(name) for name in server} == server


def test_tracked_files_name_no_machine_and_no_other_registry():
    """Only what is ours to say: addresses of this machine's folders and of package indexes stay out."""
    forbidden = re.compile(rb"/ro{2}t/|/home/[a-z]+/|--(?:extra-)?index-url[ =]https?://(?!\S*(?:\.example|@host/))")
    found = []
    for path in tracked_files():
        is_vendored = path.is_relative_to(ROOT / "static" / "vendor")
        if not path.is_file() or is_vendored or path.suffix in (".png", ".zip"):
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]!r}" for match in forbidden.finditer(path.read_bytes())]
    assert found == []


def test_no_tracked_file_is_an_accident():
    accidents = {".pyc", ".sqlite3", ".log", ".tmp", ".orig", ".rej"}
    assert [path.name for path in tracked_files() if path.suffix in accidents] == []


def test_links_between_the_documents_lead_somewhere():
    broken = []
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            if not (document.parent / target).exists():
                broken.append(f"{document.relative_to(ROOT)}: {target}")
    assert broken == []
