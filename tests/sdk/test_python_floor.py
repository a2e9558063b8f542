"""What runs beside a script runs on every Python from 3.8, with the standard library alone."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SDK = Path(__file__).parents[2] / "sdk" / "trainhouse"
MODULES = sorted(SDK.rglob("*.py"))
STANDARD = sys.stdlib_module_names | {"trainhouse"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SDK)))
def test_the_grammar_is_that_of_python_3_8(module):
    ast.parse(module.read_text(encoding="utf-8"), feature_version=(3, 8))


def test_nothing_newer_than_python_3_8_is_used():
    command = [sys.executable, "-c", "import vermin; vermin.main()", "-t=3.8-", "--violations", "--no-tips", str(SDK)]
    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SDK)))
def test_only_the_standard_library_is_imported(module):
    tree = ast.parse(module.read_text(encoding="utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= STANDARD


def test_the_harness_starts_its_script_without_loading_what_only_shipping_needs():
    code = (
        f"import sys; sys.path.insert(0, {str(SDK.parent)!r}); import trainhouse.harness.main; "
        "print([name for name in ('http.client', 'email', 'ssl', 'threading', 'traceback', 'dataclasses', 'typing') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)

    assert done.stdout.strip() == "[]", done.stderr
