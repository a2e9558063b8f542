"""What a script sees of an environment with packages from conda."""

from pathlib import Path

from compute.plan import EnvironmentRef
from tests.compute.plans import PYTHON, finished, launched, output_of

SCRIPT = "import os\nprint(os.environ.get('CONDA_PREFIX'), os.environ['PATH'].split(':')[0])\n"


def said(backend, path: Path) -> str:
    environment = EnvironmentRef(digest="d", python=Path(PYTHON), path=path)
    handle = launched(backend, SCRIPT, environment=environment)
    finished(backend, handle)
    return output_of(backend, handle)


def test_a_script_is_told_the_prefix_of_conda_where_there_is_one(backend, open_folder):
    (open_folder / "bin").mkdir()
    assert said(backend, open_folder) == f"None {open_folder}/bin\n"
    (open_folder / "conda-meta").mkdir()
    assert said(backend, open_folder) == f"{open_folder} {open_folder}/bin\n"
