"""Which tasks a run has: what was asked for, no more and no less, and who holds a slot, leads, listens and ends it."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.placement import place
from compute.plan import Inventory, NodeFact, Placement, SlotFact, SlotKind
from runs.distribution import distribution_of
from runs.spec import RunSpec

counts = st.integers(1, 9)
parameter_server_specs = st.builds(
    RunSpec,
    distributed_backend=st.just("ps"),
    worker_count=counts,
    parameter_server_count=counts,
    coordinator=st.booleans(),
    use_gpu=st.booleans(),
)
multiworker_specs = st.builds(
    RunSpec, distributed_backend=st.just("multiworker"), worker_count=counts, use_gpu=st.booleans()
)
specs = st.one_of(st.builds(RunSpec, use_gpu=st.booleans()), parameter_server_specs, multiworker_specs)


def roles_of(spec):
    return distribution_of(spec).roles(spec)


def inventory(node_count, slots_each):
    ids = iter(range(10_000))
    nodes = [
        NodeFact(
            id=number,
            name=f"node-{number}",
            address=f"10.0.0.{number}",
            slots=tuple(
                SlotFact(id=next(ids), kind=kind, index=index) for kind in SlotKind for index in range(slots_each)
            ),
        )
        for number in range(node_count)
    ]
    return Inventory(target="rack", nodes=tuple(nodes))


@given(specs)
def test_every_task_has_a_name_of_its_own_and_somebody_leads(spec):
    roles = roles_of(spec)
    assert len({role.key for role in roles}) == len(roles)
    assert sum(role.leads for role in roles) == 1
    assert all(role.ends_run for role in roles if role.leads)


@given(parameter_server_specs)
def test_a_parameter_server_run_has_exactly_the_workers_and_servers_asked_for(spec):
    roles = roles_of(spec)
    assert Counter(role.name for role in roles) == Counter(
        chief=int(spec.coordinator), worker=spec.worker_count, ps=spec.parameter_server_count
    )
    assert [role.index for role in roles if role.name == "worker"] == list(range(spec.worker_count))
    assert all(role.listens for role in roles)
    assert not any(role.ends_run or role.takes_slot for role in roles if role.name == "ps")


@given(parameter_server_specs)
def test_with_a_coordinator_the_chief_alone_runs_the_script_and_ends_the_run(spec):
    roles = roles_of(spec)
    scripts = {role.name for role in roles if role.runs_script}
    ending = {role.name for role in roles if role.ends_run}
    assert scripts == ({"chief"} if spec.coordinator else {"worker", "ps"})
    assert ending == ({"chief"} if spec.coordinator else {"worker"})


@given(multiworker_specs)
def test_multiworker_has_workers_alone_and_worker_0_leads(spec):
    roles = roles_of(spec)
    assert [role.key for role in roles] == [f"worker-{index}" for index in range(spec.worker_count)]
    assert [role.key for role in roles if role.leads] == ["worker-0"]
    assert all(role.ends_run and role.listens and role.runs_script for role in roles)


@given(specs, st.integers(1, 4))
def test_no_two_training_tasks_share_a_gpu_and_servers_see_none(spec, node_count):
    request = distribution_of(spec).request(spec)
    placement = place(request, inventory(node_count, 9))
    assert isinstance(placement, Placement)
    gpus = [(a.node_id, index) for a in placement.assignments for index in a.gpu_indexes]
    trains = {role.key for role in roles_of(spec) if role.takes_slot}
    assert len(gpus) == len(set(gpus)) == (len(trains) if spec.use_gpu else 0)
    assert {a.task for a in placement.assignments if a.slot_ids} == trains


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        (RunSpec(node_count=2), "distributed_backend", "2 nodes with 1 processes each need"),
        (RunSpec(process_count_per_node=2), "distributed_backend", "one of mpi, ps, multiworker"),
        (RunSpec(worker_count=3), "worker_count", "worker_count is 3, which only ps and multiworker runs have"),
        (RunSpec(parameter_server_count=2), "parameter_server_count", "which only ps runs have"),
        (RunSpec(coordinator=True), "coordinator", "coordinator is True, which only ps runs have"),
        (RunSpec(distributed_backend="ps", process_count_per_node=2), "process_count_per_node", "only mpi runs have"),
        (RunSpec(distributed_backend="ps", parameter_server_count=17), "parameter_server_count", "at most 16"),
        (
            RunSpec(distributed_backend="ps", worker_count=20, parameter_server_count=41),
            "parameter_server_count",
            "at most 40",
        ),
        (RunSpec(distributed_backend="ps", parameter_server_count=0), "parameter_server_count", "choose multiworker"),
        (RunSpec(distributed_backend="ps", node_count=3), "node_count", "has 2 tasks: some nodes would stand idle"),
        (RunSpec(distributed_backend="multiworker", node_count=2), "worker_count", "worker_count is 1 on 2 nodes"),
        (
            RunSpec(distributed_backend="multiworker", worker_count=2, process_count_per_node=2),
            "process_count_per_node",
            "which only mpi runs have",
        ),
        (
            RunSpec(distributed_backend="multiworker", worker_count=2, parameter_server_count=3),
            "parameter_server_count",
            "which only ps runs have",
        ),
    ],
)
def test_contradictory_counts_are_named_with_the_way_out(spec, field, words):
    found = distribution_of(spec).problems(spec)
    assert [problem.field for problem in found] == [field]
    assert words in found[0].message


@given(specs)
def test_counts_that_fit_are_no_problem(spec):
    assert distribution_of(spec).problems(spec) == []
