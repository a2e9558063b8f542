"""What this machine has: cores, memory, GPUs, as a process of this server may use them."""

from __future__ import annotations

import os
import platform
import socket
from pathlib import Path
from typing import Any

import psutil
import pynvml

_CGROUPS = Path("/sys/fs/cgroup")
_NO_LIMIT_BYTES = 1 << 60  # cgroup v1 writes a huge number where there is no limit


def local_facts() -> dict[str, Any]:
    """The facts of this machine in the form that ``ComputeBackend.probe`` promises. Never raises for absent GPUs."""
    return {
        "name": "local",
        "address": "127.0.0.1",
        "hostname": socket.gethostname(),
        "system": _system(),
        "architecture": platform.machine(),
        "cpu_cores": cpu_cores(),
        "memory_mb": memory_mb(),
        **_gpu_facts(),
    }


def cpu_cores() -> int:
    """The cores this process may use: its affinity, and the quota of its control groups rounded up. At least 1."""
    cores = len(os.sched_getaffinity(0))
    for quota in _quotas():
        cores = min(cores, max(1, -int(-quota // 1)))
    return cores


def memory_mb() -> int:
    """The memory this process may use in MiB: the machine's, or what its control groups allow."""
    limits = [psutil.virtual_memory().total]
    for folder in _cgroup_folders("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = _number(folder / name)
            if limit is not None and 0 < limit < _NO_LIMIT_BYTES:
                limits.append(limit)
    return min(limits) // (1024 * 1024)


def _quotas() -> list[float]:
    quotas: list[float] = []
    for folder in _cgroup_folders("cpu"):
        words = _words(folder / "cpu.max")
        if len(words) == 2 and words[0].isdigit():
            quotas.append(int(words[0]) / int(words[1]))
        quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
        if quota is not None and period is not None and quota > 0:
            quotas.append(quota / period)
    return quotas


def _cgroup_folders(controller: str) -> list[Path]:
    """The folders of this process's control group and all above it, for both versions of control groups."""
    folders: list[Path] = []
    for line in _lines(Path("/proc/self/cgroup")):
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = _CGROUPS / controllers if controllers else _CGROUPS
        here = root / path.lstrip("/")
        folders += [here, *(folder for folder in here.parents if folder.is_relative_to(root))]
    return folders


def _gpu_facts() -> dict[str, Any]:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return {"gpus": [], "gpu_note": f"No NVIDIA driver answers ({error})."}
    try:
        gpus = [_gpu(index) for index in range(pynvml.nvmlDeviceGetCount())]
        cuda = pynvml.nvmlSystemGetCudaDriverVersion_v2()
        return {
            "gpus": gpus,
            "driver": _text(pynvml.nvmlSystemGetDriverVersion()),
            "cuda": f"{cuda // 1000}.{cuda % 1000 // 10}",
        }
    except pynvml.NVMLError as error:
        return {"gpus": [], "gpu_note": f"The NVIDIA driver answers, but not for its GPUs: {error}."}
    finally:
        pynvml.nvmlShutdown()


def _gpu(index: int) -> dict[str, Any]:
    device = pynvml.nvmlDeviceGetHandleByIndex(index)
    return {
        "index": index,
        "uuid": _text(pynvml.nvmlDeviceGetUUID(device)),
        "model": _text(pynvml.nvmlDeviceGetName(device)),
        "memory_mb": pynvml.nvmlDeviceGetMemoryInfo(device).total // (1024 * 1024),
    }


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return f"{platform.system()} {platform.release()}"


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _number(path: Path) -> int | None:
    words = _words(path)
    return int(words[0]) if len(words) == 1 and words[0].lstrip("-").isdigit() else None
