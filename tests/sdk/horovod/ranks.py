"""Runs the scripts of ``scripts/`` on two ranks, and knows the names of their checks without running them."""

import ast
import json
import os
import subprocess
from pathlib import Path

SCRIPTS = Path(__file__).with_name("scripts")
#: Two ranks on two busy cores: neither is bound to one of them, and a rank that waits lets others run.
MPIRUN = [
    *("mpirun", "--allow-run-as-root", "--oversubscribe", "-np", "2", "--bind-to", "none"),
    *("-mca", "mpi_yield_when_idle", "1"),
]


def run_ranks(python: Path, script: str, *arguments: str, **environ: str) -> list[dict]:
    """The outcomes of the checks of ``script``, in their order. Fails when the ranks end otherwise than well."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONDONTWRITEBYTECODE": "1", "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS": "60"}
    done = subprocess.run(
        [*MPIRUN, str(python), str(SCRIPTS / f"{script}.py"), *arguments],
        env={**os.environ, **quiet, **environ},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, f"{script} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"check"')]


def checks_of(script: str) -> list[str]:
    tree = ast.parse((SCRIPTS / f"{script}.py").read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [node.name for node in functions if any(ast.unparse(each) == "check" for each in node.decorator_list)]
