"""What other tools read."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import uv
from packaging.requirements import Requirement

from runs.environments import environment_build
from runs.environments.difference import difference
from runs.environments.export import dockerfile, environment_yml, requirements_txt
from runs.environments.lock import lock_packages, lock_with_horovod
from tests.runs.environments.index import Index

LOCK = (
    "leaf==1.5 \\\n    --hash=sha256:" + "a" * 64 + " \\\n    --hash=sha256:" + "b" * 64 + "\n"
    'tree==2.0 ; python_full_version < "3.12" \\\n    --hash=sha256:' + "c" * 64 + "\n"
)


def parse(yml: str) -> dict[str, object]:
    """The small part of YAML that such a file is made of: one mapping, lists of strings, one mapping within a list."""
    found: dict[str, object] = {}
    pip: list[str] = []
    key = ""
    for line in yml.splitlines():
        if line.startswith("#"):
            continue
        if match := re.fullmatch(r"(\w+): (.+)", line):
            found[match[1]] = json.loads(match[2])
        elif match := re.fullmatch(r"(\w+):", line):
            key = match[1]
            found[key] = []
        elif line == "  - pip:":
            found[key].append({"pip": pip})
        elif match := re.fullmatch(r"      - (.+)", line):
            pip.append(json.loads(match[1]))
        elif match := re.fullmatch(r"  - (.+)", line):
            found[key].append(json.loads(match[1]) if match[1].startswith('"') else match[1])
        else:
            raise AssertionError(line)
    return found


def test_the_requirements_file_is_the_lock_and_installs_with_hashes(index: Index, order, tmp_path: Path) -> None:
    index.add_wheel("leaf", "1.5")
    index.add_wheel("tree", "2.0", requires=("leaf",))
    built = environment_build(order("tree").pk)
    file = tmp_path / "requirements.txt"
    file.write_text(requirements_txt(built.lock, origin="an environment\nimport os"))
    assert [line for line in file.read_text().splitlines() if not line.startswith("#")] == built.lock.splitlines()
    target = ["--target", str(tmp_path / "there"), "--python", sys.executable, "--require-hashes"]
    done = subprocess.run([uv.find_uv_bin(), "pip", "install", *target, "-r", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "there" / "tree.py").exists()


def test_the_conda_file_has_python_and_the_packages_under_pip() -> None:
    found = parse(environment_yml(LOCK, name="trainhouse-0a1b", python="3.11.4", origin="here"))
    assert found["name"] == "trainhouse-0a1b"
    assert found["channels"] == ["conda-forge"]
    *plain, nested = found["dependencies"]
    assert plain == ["python=3.11.4", "pip"]
    assert nested == {"pip": ["leaf==1.5", 'tree==2.0 ; python_full_version < "3.12"']}
    assert [Requirement(each).name for each in nested["pip"]] == ["leaf", "tree"]


def test_a_conda_file_is_what_yaml_reads() -> None:
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    text = environment_yml(LOCK, name="trainhouse-0123", python="3.10", origin="here: [there")
    assert yaml.safe_load(text) == parse(text)


def test_the_dockerfile_holds_the_lock_and_runs_as_nobody_special() -> None:
    text = dockerfile(
        LOCK, python="3.11.4", gpu=True, origin="TensorFlow 2.21.0: https://house.example/environments/1/"
    )
    lines = text.splitlines()
    assert "https://house.example/environments/1/" in lines[0]
    assert "--gpus all" in text
    instructions = [line for line in lines if re.match(r"[A-Z]+ ", line)]
    assert instructions[0] == "FROM python:3.11-slim"
    assert instructions.index("USER trainer") > next(i for i, each in enumerate(instructions) if "pip install" in each)
    assert "--require-hashes" in text
    (carried,) = re.findall(r"COPY <<'REQUIREMENTS' \S+\n(.*?)^REQUIREMENTS$", text, re.DOTALL | re.MULTILINE)
    assert carried == LOCK


def test_the_difference_says_what_came_went_and_moved() -> None:
    before = "gone==1.0\nnewer==1.9\nolder==2.0\nodd==2004d\nsame==1.0\n"
    after = "came==3.0\nnewer==1.10\nolder==1.0\nodd==2004e\nsame==1.0\n"
    changes = {change.name: (change.kind, change.before, change.after) for change in difference(before, after)}
    assert changes == {
        "came": ("added", "", "3.0"),
        "gone": ("removed", "1.0", ""),
        "newer": ("newer", "1.9", "1.10"),
        "older": ("older", "2.0", "1.0"),
        "odd": ("changed", "2004d", "2004e"),
    }


def test_what_was_built_from_the_source_is_named_as_left_out():
    lock = f"six==1.17.0 \\\n    --hash=sha256:{'0' * 64}\n# source lib my-own==1.0 {'ab' * 32}\n"
    said = "# Not in here, install it from lib: my-own==1.0\n"
    assert said in requirements_txt(lock, origin="x")
    assert said in dockerfile(lock, python="3.11.4", gpu=False, origin="x")
    file = environment_yml(lock, name="x", python="3.11.4", origin="x")
    assert said in file
    assert "# source" not in file


def test_what_the_platform_compiles_is_named_since_pip_cannot_fetch_it() -> None:
    lock = lock_with_horovod(
        "six==1.0 \\\n    --hash=sha256:00\n",
        **{"version": "0.28.1", "tensorflow": "2.21.0", "mpi": "Open MPI 4.1.4", "operations": "cpu"},
        **{"recipe": "0123456789ab", "wheel": "0" * 64, "module": "ab"},
    )
    note = "# Not in here: Horovod 0.28.1, which the platform compiles for TensorFlow 2.21.0 and Open MPI 4.1.4"
    assert note in requirements_txt(lock, origin="here")
    assert note in dockerfile(lock, python="3.11.2", gpu=False, origin="here")
    assert note in environment_yml(lock, name="a", python="3.11.2", origin="here")
    assert lock_packages(lock) == ["six==1.0", "horovod==0.28.1"]
