"""Looks at a machine for what Horovod is built and run with, and says it as JSON: ``look.py <roots of CUDA>``.

Run with a build's rights by any Python 3.8 or newer, standard library only; it downloads and changes nothing.
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys

PROGRAMS = ("g++", "make", "cmake", "mpicxx", "mpirun")
#: Where CUDA toolkits lie, beside what the PATH leads to.
CUDA_ROOTS = ("/usr/local/cuda", "/usr/local/cuda-*", "/opt/cuda", "/usr/lib/nvidia-cuda-toolkit", "/usr")
TIMEOUT_S = 10


def look(cuda_roots):
    """Everything at once."""
    programs = {name: path for name in PROGRAMS if (path := shutil.which(name))}
    return {
        "programs": programs,
        "mpi": mpi_name(said(programs, "mpirun", "--version")),
        "mpi_compiler": mpi_name(said(programs, "mpicxx", "-v") + said(programs, "mpicxx", "--showme:version")),
        "cmake": version(said(programs, "cmake", "--version")),
        "cuda": [toolkit for root in roots(cuda_roots) if (toolkit := cuda_toolkit(root))],
    }


def said(programs, name, option):
    """What a program answers; empty when it is not here or does not run."""
    if name not in programs:
        return ""
    try:
        done = subprocess.run(
            [programs[name], option], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace")


def mpi_name(text):
    """``Open MPI 4.1.4``, ``MPICH 4.0.2`` or ``Intel MPI 2021.9`` of what mpirun or mpicxx says; empty when it is
    none of them."""
    for name, pattern in (
        ("Open MPI", r"Open MPI\)? v?(\d+(?:\.\d+)+)"),
        ("Intel MPI", r"Intel\(R\) MPI Library.*?(\d{4}(?:\.\d+)*)"),
        ("MPICH", r"MPICH version (\d+(?:\.\d+)+)"),
        ("MPICH", r"HYDRA build details:\s+Version:\s+(\d+(?:\.\d+)+)"),
    ):
        match = re.search(pattern, text)
        if match:
            return f"{name} {match[1]}"
    return ""


def roots(patterns):
    """The folders of these patterns that are there, each once."""
    found: dict[str, str] = {}
    for pattern in patterns:
        for folder in sorted(glob.glob(pattern), reverse=True):
            found.setdefault(os.path.realpath(folder), folder)
    return list(found.values())


def cuda_toolkit(root):
    """The CUDA toolkit at ``root``: ``{"root", "version", "headers", "runtime", "nccl_headers", "nccl"}``, folders and
    files that are empty where missing; None without its compiler."""
    compiler = os.path.join(root, "bin", "nvcc")
    if not os.access(compiler, os.X_OK):
        return None
    return {
        "root": root,
        "version": version(said({"nvcc": compiler}, "nvcc", "--version")),
        "headers": first(root, ("include", "targets/*/include"), "cuda_runtime.h"),
        "runtime": first(root, ("lib64", "lib", "lib/*-linux-gnu", "targets/*/lib"), "libcudart_static.a"),
        "nccl_headers": first(root, ("include", "targets/*/include"), "nccl.h"),
        "nccl": first(root, ("lib64", "lib", "lib/*-linux-gnu", "targets/*/lib"), "libnccl.so"),
    }


def first(root, folders, name):
    """The first folder below ``root`` that holds the file ``name``; empty when none does."""
    for folder in folders:
        for path in sorted(glob.glob(os.path.join(root, folder, name))):
            return os.path.dirname(path)
    return ""


def version(text):
    """The first version of two or more numbers in a text, after the word release or version."""
    match = re.search(r"(?:release|version) (\d+(?:\.\d+)+)", text)
    return match[1] if match else ""


if __name__ == "__main__":
    sys.stdout.write(json.dumps(look(sys.argv[1:] or CUDA_ROOTS)) + "\n")
