"""Compiling the wheel: tools, source, edits, setup.py, a first try.

Everything runs with a build's rights, in a virtual environment of its own that holds TensorFlow and the tools alone.
The run's environment would do for the compiler, but it may hold any package that its owner asks for, and what these
leave in the wheel would reach everybody who shares it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from runs.environments.horovod import recipe
from runs.environments.horovod.making import CompileProgress
from runs.environments.horovod.operations import Operations
from runs.environments.horovod.trial import TRIAL
from runs.environments.progress import Progress
from runs.errors import EnvironmentFailed

_WHEEL = re.compile(rf"horovod-{re.escape(recipe.VERSION)}-[a-z0-9_]+-[a-z0-9_]+-[a-z0-9_.]+\.whl")
#: setup.py by itself: what pip and uv put around it holds its output back, or hides the reason of a failure.
_COMPILE = 'cd "$0" && exec "$1" setup.py bdist_wheel --dist-dir "$2"'
#: One compiler wants up to 1 GB.
_MOST_COMPILERS = 8


class Bench(Protocol):
    """What of a workshop is used here (``runs.environments.workshop`` describes each)."""

    @property
    def progress(self) -> Progress | None: ...

    def say(self, sentence: str) -> None: ...

    def uv(self, words: list[str], *, what: str, environ: Mapping[str, str] | None = ...) -> None: ...

    def command(
        self,
        argv: list[str],
        *,
        what: str,
        each_line: Callable[[str], bool] = ...,
        environ: Mapping[str, str] | None = ...,
        apart: str = ...,
    ) -> None: ...

    def hand_over(self, name: str, content: str | bytes) -> str: ...


def wheel_compile(
    bench: Bench,
    *,
    python: Path,
    tensorflow: str,
    edits: tuple[str, ...],
    folder: Path,
    operations: Operations,
) -> Path:
    """The wheel, below ``folder``, which must not be there yet and is left for the caller to remove.

    ``tensorflow`` is a requirement of one exact version, with its hashes where there are some. Raises EnvironmentFailed
    with the reason.
    """
    cuda = operations.toolkit is not None
    says = CompileProgress(bench.progress)
    says.phase("Fetching what Horovod is built with")
    tools = Path(_venv(bench, python=python, tensorflow=tensorflow, folder=folder))
    says.phase("Fetching Horovod's source")
    source = _source(bench, tools, folder, edits=edits, cuda=cuda)
    says.phase("Compiling Horovod")
    variables = {**recipe.variables(cuda=cuda), **_gpu_variables(bench, tools, folder, operations)}
    bench.command(
        ["/bin/sh", "-c", _COMPILE, str(source), str(tools), str(folder / "wheel")],
        what="Compiling Horovod",
        each_line=says.line,
        environ={"MAKEFLAGS": f"-j{_compilers()}", **variables},
    )
    wheel = _made(folder / "wheel")
    says.phase("Trying the new wheel")
    bench.uv(
        ["pip", "install", "--quiet", "--python", str(tools), "--no-deps", "--no-index", str(wheel)],
        what="Installing the new Horovod wheel",
    )
    wheel_try(bench, tools)
    return wheel


def wheel_try(bench: Bench, python: Path, *, apart: str = "") -> None:
    """Imports Horovod in the environment of ``python`` and reduces a number in one process, in the place ``apart`` of
    the backend when there is one. Raises EnvironmentFailed when that does not work."""
    bench.command(
        [str(python), "-I", "-B", "-c", TRIAL],
        what="Trying Horovod out",
        environ={"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "2", "TF_ENABLE_ONEDNN_OPTS": "0"},
        apart=apart,
    )


def _venv(bench: Bench, *, python: Path, tensorflow: str, folder: Path) -> Path:
    place = folder / "venv"
    bench.uv(["venv", "--quiet", "--python", str(python), str(place)], what="Creating Horovod's build environment")
    inside = place / "bin" / "python"
    wanted = bench.hand_over("horovod-build.txt", f"{tensorflow}\n{recipe.TOOLS.read_text()}")
    bench.uv(
        ["pip", "install", "--quiet", "--python", str(inside), "--no-build", "-r", wanted],
        what="Installing what Horovod is built with",
    )
    return inside


def _source(bench: Bench, python: Path, folder: Path, *, edits: tuple[str, ...], cuda: bool) -> Path:
    """The edited source.

    uv fetches it, by the index settings of every other package, and checks its hash before a line of it is run. It has
    no word for fetching alone: it is told to install, setup.py to compile nothing (``HOROVOD_SKIP_COMPILE``), and the
    source is then taken out of a cache of its own. Where builds are to take wheels alone (``UV_NO_BUILD``), this one
    source is built all the same: it is known by its hash.
    """
    line = f"{recipe.NAME}=={recipe.VERSION} --hash=sha256:{recipe.SDIST_SHA256}\n"
    asked = bench.hand_over("horovod-source.txt", line)
    cache, source = folder / "cache", folder / "source"
    bench.uv(
        [
            *("pip", "install", "--quiet", "--python", str(python), "--target", str(folder / "fetched")),
            *("--cache-dir", str(cache), "--no-deps", "--no-build-isolation", "--require-hashes"),
            *("--no-binary", recipe.NAME, "-r", asked),
        ],
        what="Fetching Horovod's source",
        environ={"HOROVOD_SKIP_COMPILE": "1", "UV_NO_BUILD": "false"},
    )
    editor = bench.hand_over("horovod-editor.py", recipe.EDITOR.read_bytes())
    orders = [asdict(edit) for edit in recipe.edits_of(edits, cuda=cuda)]
    handed = bench.hand_over("horovod-edits.json", json.dumps(orders))
    bench.command([str(python), "-I", editor, str(cache), str(source), handed], what="Editing Horovod's source")
    return source


def _gpu_variables(bench: Bench, python: Path, folder: Path, operations: Operations) -> dict[str, str]:
    """Where CUDA and NCCL are. TensorFlow's copy of NCCL lacks the name that a linker looks for."""
    toolkit = operations.toolkit
    if toolkit is None:
        return {}
    include, library = toolkit.nccl_headers, toolkit.nccl
    if operations.nccl_in_packages:
        packages = next((folder / "venv").glob("lib/python3.*/site-packages"))
        include, library = str(packages / "nvidia" / "nccl" / "include"), str(folder / "nccl")
        link = "import os, sys; os.mkdir(sys.argv[1]); os.symlink(sys.argv[2], os.path.join(sys.argv[1], 'libnccl.so'))"
        bench.command(
            [str(python), "-I", "-c", link, library, str(packages / "nvidia" / "nccl" / "lib" / "libnccl.so.2")],
            what="Finding TensorFlow's NCCL",
        )
    return {"HOROVOD_CUDA_HOME": toolkit.root, "HOROVOD_NCCL_INCLUDE": include, "HOROVOD_NCCL_LIB": library}


def _made(folder: Path) -> Path:
    found = [path for path in folder.iterdir() if _WHEEL.fullmatch(path.name)]
    if len(found) != 1:
        raise EnvironmentFailed(
            f"Compiling Horovod made {len(found)} wheels in {folder}, not one. See the build's log."
        )
    return found[0]


def _compilers() -> int:
    return max(1, min(_MOST_COMPILERS, len(os.sched_getaffinity(0))))
