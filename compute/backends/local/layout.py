"""The one machine as the nodes of the local target: what an administrator has configured, applied to the facts.

Virtual nodes share the machine's cores, memory and GPUs among them, so that a run over several nodes can be tried
where there is only one. Simulated GPUs are slots without a GPU behind them, for a machine that has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compute.errors import TargetMisconfigured

NAME = "local"

#: The least and the most of each key of the configuration.
LIMITS = {"virtual_nodes": (1, 64), "simulated_gpus": (0, 64)}


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalConfig:
    """``ComputeTarget.config`` of a local target. ``simulated_gpus`` counts for each node."""

    virtual_nodes: int = 1
    simulated_gpus: int = 0

    @classmethod
    def parse(cls, config: Mapping[str, Any]) -> LocalConfig:
        """Reads a stored configuration; keys that are missing have their defaults. Raises TargetMisconfigured with
        every problem."""
        found = [sentence for _, sentence in config_problems(config)]
        if found:
            raise TargetMisconfigured(" ".join(found))
        return cls(**config)


def config_problems(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with ``config``, each as the key and a sentence; empty when it can be used."""
    found = []
    for key, value in config.items():
        if key not in LIMITS:
            found.append((key, f"The local target has no setting {key!r}; it has {' and '.join(LIMITS)}."))
            continue
        least, most = LIMITS[key]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            found.append((key, f"{key} is {value!r}; it must be a whole number from {least} to {most}."))
    return found


def nodes_of(
    machine: dict[str, Any], config: LocalConfig, *, cpu_slots: int, ports: tuple[int, int]
) -> list[dict[str, Any]]:
    """The facts of every node, in the form that ``ComputeBackend.probe`` promises.

    Cores, memory, GPUs and ``cpu_slots`` (0: half of the cores) are divided among the nodes; each has one core and one
    CPU slot at least, and a GPU belongs to one node. GPUs are simulated where the machine has none.
    """
    count = config.virtual_nodes
    slots = cpu_slots or machine["cpu_cores"] // 2
    simulated = [] if machine["gpus"] else [_simulated_gpu(index) for index in range(config.simulated_gpus)]
    found, first_gpu = [], 0
    for number in range(count):
        end = first_gpu + _share(len(machine["gpus"]), count, number)
        found.append(
            {
                **machine,
                "name": NAME if count == 1 else f"{NAME}-{number + 1}",
                "cpu_cores": max(1, _share(machine["cpu_cores"], count, number)),
                "cpu_slots": max(1, _share(slots, count, number)),
                "memory_mb": machine["memory_mb"] // count,
                "gpus": machine["gpus"][first_gpu:end] or simulated,
                "ports": list(ports),
            }
        )
        first_gpu = end
    # The machine's one node and the first of several are the same one under two names.
    found[0]["formerly"] = f"{NAME}-1" if count == 1 else NAME
    return found


def _share(total: int, count: int, number: int) -> int:
    return total // count + (1 if number < total % count else 0)


def _simulated_gpu(index: int) -> dict[str, Any]:
    return {"index": index, "uuid": "", "model": "", "memory_mb": 0, "simulated": True}
