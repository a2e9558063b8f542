"""One machine shown as several nodes: pure, so tables for the cases and hypothesis for what always holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.backends.local.layout import LIMITS, LocalConfig, config_problems, nodes_of
from compute.errors import TargetMisconfigured

PORTS = (20000, 27999)


def gpu(index: int) -> dict:
    return {"index": index, "uuid": f"GPU-{index}", "model": "H200", "memory_mb": 143_771}


def machine(*, cores: int = 8, gpus: int = 0) -> dict:
    return {
        "name": "local",
        "address": "127.0.0.1",
        "cpu_cores": cores,
        "memory_mb": 16_000,
        "gpus": [gpu(index) for index in range(gpus)],
    }


def laid_out(facts: dict, *, cpu_slots: int = 0, **config: int) -> list[dict]:
    return nodes_of(facts, LocalConfig(**config), cpu_slots=cpu_slots, ports=PORTS)


def test_one_node_is_the_whole_machine():
    (node,) = laid_out(machine(gpus=2))
    assert (node["name"], node["cpu_cores"], node["cpu_slots"], node["memory_mb"]) == ("local", 8, 4, 16_000)
    assert node["gpus"] == [gpu(0), gpu(1)]
    assert node["ports"] == [20000, 27999]


def test_virtual_nodes_share_cores_slots_and_memory():
    nodes = laid_out(machine(cores=9), virtual_nodes=2, cpu_slots=3)
    assert [node["name"] for node in nodes] == ["local-1", "local-2"]
    assert [node["cpu_cores"] for node in nodes] == [5, 4]
    assert [node["cpu_slots"] for node in nodes] == [2, 1]
    assert [node["memory_mb"] for node in nodes] == [8_000, 8_000]
    assert {node["address"] for node in nodes} == {"127.0.0.1"}


def test_more_nodes_than_cores_have_one_core_and_one_slot_each():
    nodes = laid_out(machine(cores=2), virtual_nodes=4)
    assert [(node["cpu_cores"], node["cpu_slots"]) for node in nodes] == [(1, 1)] * 4


def test_simulated_gpus_are_on_every_node_and_have_no_card():
    nodes = laid_out(machine(), virtual_nodes=2, simulated_gpus=2)
    assert all([found["index"] for found in node["gpus"]] == [0, 1] for node in nodes)
    assert all(found["simulated"] and not found["uuid"] for node in nodes for found in node["gpus"])


def test_where_there_is_a_gpu_none_is_simulated():
    nodes = laid_out(machine(gpus=1), virtual_nodes=2, simulated_gpus=2)
    assert [node["gpus"] for node in nodes] == [[gpu(0)], []]


@given(st.integers(1, 200), st.integers(0, 16), st.integers(1, 64), st.integers(0, 8), st.integers(0, 100))
def test_every_gpu_belongs_to_one_node_and_no_core_is_lost(cores, gpus, virtual_nodes, simulated, cpu_slots):
    facts = machine(cores=cores, gpus=gpus)
    nodes = laid_out(facts, virtual_nodes=virtual_nodes, simulated_gpus=simulated, cpu_slots=cpu_slots)
    assert len({node["name"] for node in nodes}) == len(nodes) == virtual_nodes
    real = [found for node in nodes for found in node["gpus"] if not found.get("simulated")]
    assert real == facts["gpus"]
    assert sum(node["cpu_cores"] for node in nodes) == max(cores, virtual_nodes)
    assert sum(node["cpu_slots"] for node in nodes) == max(cpu_slots or cores // 2, virtual_nodes)
    assert any(found.get("simulated") for node in nodes for found in node["gpus"]) == (not gpus and simulated > 0)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"virtual_nodes": 0}, "virtual_nodes is 0; it must be a whole number from 1 to 64."),
        ({"virtual_nodes": -2}, "virtual_nodes is -2; it must be a whole number from 1 to 64."),
        ({"virtual_nodes": 10**9}, "virtual_nodes is 1000000000; it must be a whole number from 1 to 64."),
        ({"virtual_nodes": "2"}, "virtual_nodes is '2'; it must be a whole number from 1 to 64."),
        ({"virtual_nodes": True}, "virtual_nodes is True; it must be a whole number from 1 to 64."),
        ({"virtual_nodes": None}, "virtual_nodes is None; it must be a whole number from 1 to 64."),
        ({"simulated_gpus": 65}, "simulated_gpus is 65; it must be a whole number from 0 to 64."),
        ({"nodes": 2}, "The local target has no setting 'nodes'; it has virtual_nodes and simulated_gpus."),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_with_its_value(config, sentence):
    assert [words for _, words in config_problems(config)] == [sentence]
    with pytest.raises(TargetMisconfigured) as refusal:
        LocalConfig.parse(config)
    assert str(refusal.value) == sentence


def test_every_problem_of_a_configuration_is_said_at_once():
    with pytest.raises(TargetMisconfigured, match=r"'nodes'.*simulated_gpus is -1"):
        LocalConfig.parse({"nodes": 2, "simulated_gpus": -1})


def test_what_is_not_configured_has_its_default_and_every_key_has_a_limit():
    assert LocalConfig.parse({}) == LocalConfig(virtual_nodes=1, simulated_gpus=0)
    assert LocalConfig.parse({"virtual_nodes": 3}) == LocalConfig(virtual_nodes=3)
    assert set(LIMITS) == set(LocalConfig.__dataclass_fields__)
