"""Writes the locked requirements from pyproject.toml: ``make lock``.

Each file holds versions and hashes for every platform and Python that the project supports, and no index's address,
so that it installs from any index that carries the packages.
"""

import subprocess
import sys
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
OLDEST_PYTHON = "3.10"


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    server = project["dependencies"]
    extras = project["optional-dependencies"]
    constraint = ["--constraint", "requirements/server.txt"]
    compile_lock("server", server)
    compile_lock("dev", server + extras["dev"], *constraint)
    compile_lock("training", extras["training"])
    compile_lock("uv", ["uv"], *constraint)


def compile_lock(name: str, requirements: list[str], *options: str) -> None:
    """Resolves ``requirements`` for all platforms into ``requirements/<name>.txt``; keeps locked versions that fit."""
    print(f"locking requirements/{name}.txt", flush=True)
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
    command += ["--no-header", "--no-emit-index-url", "--no-annotate", f"--python-version={OLDEST_PYTHON}"]
    command += [*options, f"--output-file=requirements/{name}.txt", *sys.argv[1:], "-"]
    subprocess.run(command, cwd=ROOT, input="\n".join(requirements), text=True, check=True)


if __name__ == "__main__":
    main()
