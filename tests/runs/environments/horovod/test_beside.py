import hashlib
import subprocess
import zipfile
from pathlib import Path

from runs.environments.horovod import beside
from runs.environments.horovod.beside import beside_digest, beside_kept, beside_wheel
from runs.environments.toolbox import uv_program


def test_the_same_module_is_packed_into_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = beside_wheel(tmp_path / "a"), beside_wheel(tmp_path / "b")
    assert first.sha256 == second.sha256 == hashlib.sha256(second.path.read_bytes()).hexdigest()
    assert first.path.name == f"trainhouse_horovod-1+{beside_digest()}-py3-none-any.whl"
    with zipfile.ZipFile(first.path) as wheel:
        names = wheel.namelist()
    assert "trainhouse_horovod/__init__.py" in names
    assert "trainhouse_horovod.pth" in names
    assert not any("__pycache__" in name for name in names)


def test_it_installs_and_is_loaded(tmp_path: Path, interpreter) -> None:
    wheel = beside_wheel(tmp_path)
    place = tmp_path / "venv"
    subprocess.run([uv_program(), "venv", "--quiet", "--python", interpreter.path, place], check=True)
    python = place / "bin" / "python"
    requirement = tmp_path / "requirements.txt"
    requirement.write_text(f"{wheel.requirement}\n")
    command = [uv_program(), "pip", "sync", "--quiet", "--python", python, "--require-hashes", requirement]
    subprocess.run(command, check=True)
    found = subprocess.run(
        [python, "-c", "import importlib.metadata as m; print(m.version('trainhouse-horovod'))"],
        capture_output=True,
        text=True,
    )
    assert found.stdout.strip() == f"1+{beside_digest()}", found.stderr


def test_an_earlier_version_is_kept_for_those_who_were_built_with_it(tmp_path: Path, monkeypatch) -> None:
    digest, today = beside_kept(tmp_path, beside_digest())
    assert digest == beside_digest()
    monkeypatch.setattr(beside, "_files", lambda: {"trainhouse_horovod/__init__.py": b"changed = True\n"})
    now, changed = beside_kept(tmp_path, beside_digest())
    assert now != digest
    assert beside_kept(tmp_path, digest) == (digest, today)
    assert beside_kept(tmp_path, "0123456789ab") == (now, changed)
