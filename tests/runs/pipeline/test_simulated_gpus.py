"""A run on a simulated GPU: it holds the slot, trains on the CPU, and every page says so."""

import pytest
from django.test import Client
from django.urls import reverse

from compute.models import Slot
from runs.errors import EnvironmentFailed
from runs.models import Run, Task
from runs.pipeline import advance
from runs.services import package_check
from runs.spec import RunSpec
from tests.factories import make_run, make_target, make_user
from tests.runs.pipeline.steps import fresh, task_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def launched(backend) -> list:
    """The plans of every launch."""
    plans: list = []
    backend.on_launch = plans.append
    return plans


@pytest.fixture
def asked(environment, monkeypatch) -> list[RunSpec]:
    """The specs for which an environment was asked."""
    specs: list[RunSpec] = []

    def request(spec, *others):
        specs.append(spec)
        return environment

    monkeypatch.setattr("runs.pipeline.prepare.environment_request", request)
    return specs


def start(*, simulated: bool) -> Run:
    target = make_target(gpus=1, simulated=simulated)
    run = make_run(owner=make_user(), target=target, spec=RunSpec(compute_target=target.name, use_gpu=True))
    advance(run.pk)
    return fresh(run)


def test_it_holds_the_slot_and_sees_no_gpu(launched, asked):
    run = start(simulated=True)
    assert task_of(run).slots == [{"id": Slot.objects.get(kind="gpu").pk, "simulated": True}]
    (task,) = launched[0].tasks
    assert (task.gpu_indexes, task.gpu_probe) == ((), False)


def test_its_environment_is_the_cpu_build_and_its_spec_stays_as_submitted(launched, asked):
    run = start(simulated=True)
    assert [spec.use_gpu for spec in asked] == [False]
    assert run.spec.use_gpu


def test_the_form_checks_the_packages_of_the_cpu_build(monkeypatch, admin):
    specs: list[RunSpec] = []

    def described(spec, *others, **options):
        specs.append(spec)
        raise EnvironmentFailed("that will do")

    monkeypatch.setattr("runs.services.checking.environment_spec", described)
    target = make_target(gpus=1, simulated=True)
    package_check(RunSpec(compute_target=target.name, use_gpu=True), user=admin, snapshot=None)
    assert [spec.use_gpu for spec in specs] == [False]


def test_a_real_gpu_is_seen_and_looked_for_before_the_script(launched, asked):
    run = start(simulated=False)
    assert [slot["gpu"] for slot in task_of(run).slots] == [0]
    (task,) = launched[0].tasks
    assert (task.gpu_indexes, task.gpu_probe) == ((0,), True)
    assert [spec.use_gpu for spec in asked] == [True]


def test_a_second_run_waits_for_the_simulated_gpu_by_its_name(launched, asked):
    first = start(simulated=True)
    second = make_run(owner=first.owner, target=first.target, spec=first.spec)
    advance(second.pk)
    (reason,) = fresh(second).waiting_for
    assert reason == f"node: its 1 simulated GPU is busy with {first}."


@pytest.mark.parametrize("simulated", [True, False])
def test_the_list_and_the_run_page_say_simulated_of_no_other_gpu(launched, asked, simulated):
    run = start(simulated=simulated)
    page = Client()
    page.force_login(run.owner)
    for name in ("run", "run-metrics", "run-system", "run-logs", "run-files", "run-events"):
        words = page.get(reverse(name, args=[run.pk])).content.decode()
        assert ("simulated GPU</span>" in words) == simulated, name
    overview = page.get(reverse("run", args=[run.pk])).content.decode()
    assert ("node, simulated GPU 0" in overview) == simulated
    assert ("TensorFlow trains on the CPU" in overview) == simulated
    assert ("simulated GPU</span>" in page.get(reverse("runs")).content.decode()) == simulated


def test_what_the_task_held_is_still_said_when_the_slot_is_gone(launched, asked):
    run = start(simulated=True)
    Task.objects.update(slots=[{"id": 10**9, "simulated": True}])
    page = Client()
    page.force_login(run.owner)
    assert "a simulated GPU" in page.get(reverse("run", args=[run.pk])).content.decode()
