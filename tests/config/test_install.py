"""The installer behind make: it finds a Python, or says what to install."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def install(monkeypatch):
    spec = importlib.util.spec_from_file_location("install", ROOT / "requirements" / "install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.delenv("PYTHON", raising=False)
    return module


def test_any_python_3_6_can_read_it():
    import ast

    ast.parse((ROOT / "requirements" / "install.py").read_text(), feature_version=(3, 6))


@pytest.mark.parametrize(
    ("version", "is_supported"),
    [("3.9.18", False), ("3.10.0", True), ("3.13.9", True), ("3.14.0", False), ("2.7.18", False)],
)
def test_supported_versions(install, version, is_supported):
    assert install.is_supported(version) is is_supported


def test_a_python_of_ones_own_that_is_too_old_is_named_with_what_is_needed(install, monkeypatch):
    monkeypatch.setenv("PYTHON", "/opt/old/python3")
    monkeypatch.setattr(install, "version_of", lambda _: "3.8.2")
    with pytest.raises(install.Refused, match=r"/opt/old/python3, version 3\.8\.2; Trainhouse needs CPython 3\.10 to"):
        install.choose_python(reachable=False)


def test_without_a_fitting_python_everything_found_is_named(install, monkeypatch):
    monkeypatch.setattr(install, "candidates", lambda _: ["/usr/bin/python3"])
    monkeypatch.setattr(install, "version_of", lambda _: "3.9.2")
    with pytest.raises(install.Refused, match=r"/usr/bin/python3 is 3\.9\.2\.\nInstall one of these.*PYTHON="):
        install.choose_python(reachable=False)


def test_a_missing_venv_module_is_one_sentence_with_the_package(install, monkeypatch):
    monkeypatch.setattr(install, "ask", lambda *_: None)
    monkeypatch.setattr(install, "version_of", lambda _: "3.11.2")
    with pytest.raises(install.Refused, match=r"apt-get install python3-venv \(or python3\.11-venv\)"):
        install.make_venv("/usr/bin/python3")


def test_a_python_that_others_cannot_reach_is_passed_over(install, open_folder):
    (open_folder / "closed").mkdir(mode=0o700)
    shutil.copy(sys.executable, open_folder / "closed" / "python3")
    assert not install.is_open_to_all(str(open_folder / "closed" / "python3"))
    (open_folder / "closed").chmod(0o755)
    assert install.is_open_to_all(str(open_folder / "closed" / "python3"))


def test_what_is_installed_is_left_alone(install, monkeypatch, tmp_path):
    """No pip, no uv, no network: the stamp is believed."""
    monkeypatch.setattr(install, "VENV", str(tmp_path))
    (tmp_path / "bin").mkdir()
    os.symlink(sys.executable, tmp_path / "bin" / "python")
    install.write_stamp(str(tmp_path), {"set": "dev", "locks": install.digests("uv", "server", "dev"), "asked": ""})
    monkeypatch.setattr(install, "run", lambda *_: pytest.fail("something was run"))
    assert install.install_server("server") == str(tmp_path / "bin" / "python")
    assert install.install_server("dev") == str(tmp_path / "bin" / "python")


@pytest.mark.needs("make")
def test_make_passes_the_sentence_on(tmp_path):
    environ = {**os.environ, "PYTHON": str(tmp_path / "nothing")}
    command = ["make", "server", f"PYTHON={tmp_path}/nothing"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"PYTHON is {tmp_path}/nothing, which cannot be run." in done.stderr
