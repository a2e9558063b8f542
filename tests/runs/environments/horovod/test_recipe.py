import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from runs.environments.horovod.recipe import EDITOR, EDITS, edits_of, recipe_revision, variables

#: What the edits expect, as the release has it.
SOURCE = {
    "setup.py": "config = 'Debug' if debug else 'RelWithDebInfo'\n",
    "CMakeLists.txt": (
        "include(CheckLanguage)\ncheck_language(CUDA)\nif(NOT CMAKE_CUDA_COMPILER)\n    find_package(CUDAToolkit)\n"
        "endif()\n    add_subdirectory(third_party/gloo)\n"
    ),
    "horovod/tensorflow/CMakeLists.txt": (
        'list(APPEND TF_SOURCES "${PROJECT_SOURCE_DIR}/horovod/tensorflow/mpi_ops.cc")\n'
        'list(APPEND TF_SOURCES "${PROJECT_SOURCE_DIR}/horovod/tensorflow/xla_mpi_ops.cc")\n'
    ),
}


def test_the_edits_drop_the_xla_kernels_the_debug_symbols_and_the_second_gloo(tmp_path: Path) -> None:
    done = edited(tmp_path, SOURCE, ["without-xla", "release", "gloo-once"])
    assert done.returncode == 0, done.stderr
    source = tmp_path / "source"
    assert (source / "setup.py").read_text() == "config = 'Debug' if debug else 'Release'\n"
    kept = (source / "horovod/tensorflow/CMakeLists.txt").read_text()
    assert "mpi_ops.cc" in kept
    assert "xla" not in kept
    listed = (source / "CMakeLists.txt").read_text()
    assert "add_subdirectory(third_party/gloo EXCLUDE_FROM_ALL)" in listed


def test_a_build_for_the_cpu_does_not_look_for_cuda_and_one_for_gpus_does(tmp_path: Path) -> None:
    edited(tmp_path, SOURCE, [])
    assert "check_language(CUDA)" not in (tmp_path / "source" / "CMakeLists.txt").read_text()
    assert edits_of([], cuda=True) == []
    assert "HOROVOD_GPU_OPERATIONS" not in variables(cuda=False)
    assert variables(cuda=True)["HOROVOD_GPU_OPERATIONS"] == "NCCL"


def test_a_source_that_is_not_what_the_recipe_expects_is_named_with_the_file_and_the_text(tmp_path: Path) -> None:
    done = edited(tmp_path, {**SOURCE, "setup.py": "config = 'Release'\n"}, ["release"])
    assert done.returncode == 1
    assert "setup.py of the source is not what the recipe edits: it has 0 times, not once" in done.stderr
    assert "RelWithDebInfo" in done.stderr


def test_a_source_without_a_file_of_the_recipe_is_named(tmp_path: Path) -> None:
    done = edited(tmp_path, {"setup.py": "config = 0 if debug else 'RelWithDebInfo'"}, ["release"])
    assert done.returncode == 1
    assert "the source has no file" in done.stderr


def test_a_cache_without_the_source_is_named_and_what_a_build_left_in_it_goes(tmp_path: Path) -> None:
    done = edited(tmp_path, {}, [])
    assert done.returncode == 1
    assert "uv has put 0 sources of Horovod, not one" in done.stderr
    left = {"build/lib/horovod/stale.py": "", "horovod.egg-info/SOURCES.txt": ""}
    assert edited(tmp_path, {**SOURCE, **left}, []).returncode == 0
    assert sorted(path.name for path in (tmp_path / "source").iterdir()) == ["CMakeLists.txt", "horovod", "setup.py"]


def test_the_revision_follows_from_all_of_the_recipe(monkeypatch) -> None:
    before = recipe_revision()
    monkeypatch.setitem(EDITS, "another", EDITS["release"])  # type: ignore[arg-type]
    recipe_revision.cache_clear()
    try:
        assert recipe_revision() != before
    finally:
        monkeypatch.undo()
        recipe_revision.cache_clear()
    assert recipe_revision() == before


def edited(folder: Path, content: Mapping[str, str], edits: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs the editor on a cache that holds ``content``; the source lies in ``folder/source`` then."""
    cached = folder / "cache" / "sdists-v11" / "pypi" / "horovod" / "0.28.1" / "y5pxAgxA9oq9s6SO" / "src"
    for path, text in content.items():
        (cached / path).parent.mkdir(parents=True, exist_ok=True)
        (cached / path).write_text(text)
    orders = folder / "edits.json"
    orders.write_text(json.dumps([asdict(edit) for edit in edits_of(edits, cuda=False)]))
    command = [sys.executable, "-I", str(EDITOR), str(folder / "cache"), str(folder / "source"), str(orders)]
    return subprocess.run(command, capture_output=True, text=True)
