"""How Horovod is built: the release, its edits, the tools and the variables. Pure.

Horovod's last release is 0.28.1 of June 2023; without the edits it does not build on TensorFlow 2.19 and newer. Which
edits a TensorFlow version gets stands in the catalogue.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

NAME = "horovod"
VERSION = "0.28.1"
SDIST_SHA256 = "92a43f5a94c43907a56805bad15f19700c62ffc83b7ca483f9e104e229f67ef0"

#: What Horovod needs in a run's environment (``require_list`` of its setup.py, without PyTorch's).
REQUIRES = ("cloudpickle", "packaging", "psutil", "pyyaml")

#: The build's tools with their hashes; all of ``REQUIRES`` is among them, since setup.py asks for it at build time.
TOOLS = Path(__file__).with_name("tools.txt")
#: What edits the source, run on the build's side.
EDITOR = Path(__file__).with_name("editor.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One change to the source: ``old`` stands in the file ``path`` exactly once and becomes ``new``."""

    path: str
    old: str
    new: str


EDITS: Mapping[str, tuple[Edit, ...]] = {
    # Its XLA kernels include headers that TensorFlow's wheels no longer bring. They serve jit-compiled GPU training.
    "without-xla": (
        Edit(
            path="horovod/tensorflow/CMakeLists.txt",
            old='list(APPEND TF_SOURCES "${PROJECT_SOURCE_DIR}/horovod/tensorflow/xla_mpi_ops.cc")\n',
            new="",
        ),
    ),
    # With debug symbols the wheel is 17 times as large.
    "release": (Edit(path="setup.py", old="else 'RelWithDebInfo'", new="else 'Release'"),),
    # For TensorFlow's C++17 a second copy of Gloo is compiled and linked; the first is not used.
    "gloo-once": (
        Edit(
            path="CMakeLists.txt",
            old="    add_subdirectory(third_party/gloo)\n",
            new="    add_subdirectory(third_party/gloo EXCLUDE_FROM_ALL)\n",
        ),
    ),
    # A CUDA compiler that happens to be on the machine is tried, and when it does not work the build ends.
    "without-cuda": (
        Edit(
            path="CMakeLists.txt",
            old="include(CheckLanguage)\ncheck_language(CUDA)\nif(NOT CMAKE_CUDA_COMPILER)\n",
            new="if(FALSE)\n",
        ),
    ),
}


def edits_of(names: Collection[str], *, cuda: bool) -> list[Edit]:
    """The edits of these names, and for a build without CUDA the one that keeps CMake from looking for it."""
    wanted = {*names} if cuda else {*names, "without-cuda"}
    return [edit for name in sorted(wanted) for edit in EDITS[name]]


@cache
def recipe_revision() -> str:
    """A short SHA-256 of everything here that decides what is built, so that a changed recipe makes new wheels."""
    content = {
        "sdist": SDIST_SHA256,
        "edits": {name: [asdict(edit) for edit in EDITS[name]] for name in EDITS},
        "variables": [variables(cuda=False), variables(cuda=True)],
        "tools": TOOLS.read_text(),
        "editor": EDITOR.read_text(),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def variables(*, cuda: bool) -> dict[str, str]:
    """The variables of the build that do not depend on the machine."""
    found = {
        "HOROVOD_WITH_TENSORFLOW": "1",
        "HOROVOD_WITHOUT_PYTORCH": "1",
        "HOROVOD_WITHOUT_MXNET": "1",
        "HOROVOD_WITH_MPI": "1",
        "HOROVOD_WITH_GLOO": "1",
        "HOROVOD_WITHOUT_NVTX": "1",
    }
    return {**found, "HOROVOD_GPU_OPERATIONS": "NCCL", "HOROVOD_NCCL_LINK": "SHARED"} if cuda else found
