"""Over what Horovod reduces tensors: the CPU, or the GPUs by NCCL where that can be built. Pure.

NCCL needs a CUDA toolkit of TensorFlow's major version on the machine that builds (compiler, headers, static runtime),
and NCCL itself, of which TensorFlow's own copy among the packages is the best one: a second would be loaded beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from packaging.requirements import Requirement

from runs.environments.horovod.machine import Machine, Toolkit

CPU = "cpu"
#: Of every TensorFlow in the catalogue.
CUDA_MAJOR = "12"
WITHOUT_NCCL = (
    "Horovod reduces over the CPU in this environment, which works and is slower: it was built without NCCL. For NCCL "
    f"the machine that builds needs the CUDA toolkit {CUDA_MAJOR} with nvcc, on Debian and Ubuntu for example: apt-get "
    "install cuda-toolkit-12-5 (from NVIDIA's package source)."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """``name`` is what decides the wheel: ``cpu`` or ``nccl cuda 12.5``. ``reason`` says why it is ``cpu`` although a
    GPU is asked for, as a sentence. ``nccl_in_packages``: NCCL is TensorFlow's copy."""

    name: str
    toolkit: Toolkit | None = None
    nccl_in_packages: bool = False
    reason: str = ""


def operations_for(machine: Machine, framework: Iterable[str], *, gpu: bool) -> Operations:
    """What can be built on ``machine`` for an environment with these requirements of TensorFlow."""
    if not gpu:
        return Operations(name=CPU)
    requirements = [Requirement(line) for line in framework]
    if all(requirement.name == "tensorflow-cpu" for requirement in requirements):
        return Operations(name=CPU, reason="tensorflow-cpu can use no GPU.")
    if not machine.cuda:
        return Operations(name=CPU, reason="The machine has no CUDA toolkit (nvcc).")
    fitting = [toolkit for toolkit in machine.cuda if toolkit.version.split(".")[0] == CUDA_MAJOR]
    if not fitting:
        found = ", ".join(f"{toolkit.version or 'unknown'} at {toolkit.root}" for toolkit in machine.cuda)
        return Operations(name=CPU, reason=f"TensorFlow needs CUDA {CUDA_MAJOR}, and the machine's toolkit is {found}.")
    whole = next((toolkit for toolkit in fitting if toolkit.headers and toolkit.runtime), None)
    if whole is None:
        lacking = "headers (cuda_runtime.h)" if not fitting[0].headers else "static runtime (libcudart_static.a)"
        return Operations(name=CPU, reason=f"The CUDA toolkit at {fitting[0].root} lacks its {lacking}.")
    in_packages = any("and-cuda" in requirement.extras for requirement in requirements)
    if not in_packages and not (whole.nccl_headers and whole.nccl):
        return Operations(name=CPU, reason=f"There is no NCCL (nccl.h, libnccl.so) with the CUDA at {whole.root}.")
    return Operations(name=f"nccl cuda {whole.version}", toolkit=whole, nccl_in_packages=in_packages)
