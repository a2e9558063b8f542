"""The budget of the disk: who leaves, in which order, and who stays whatever the budget says."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from runs.environments import environment_build, environment_is_intact, environments_bytes
from runs.models import Environment
from runs.states import EnvironmentState, RunState
from runs.supervisor.room import make_room
from tests.factories import make_run
from tests.runs.environments.index import Index

Order = Callable[..., Environment]


@pytest.fixture
def three(index: Index, order: Order) -> list[Environment]:
    """Three real environments, last used four, three and two hours ago."""
    index.add_wheel("leaf", "1.5")
    made = [environment_build(order("leaf").pk) for _ in range(3)]
    for hours, environment in zip((4, 3, 2), made, strict=True):
        then = timezone.now() - timedelta(hours=hours)
        Environment.objects.filter(pk=environment.pk).update(created_at=then, ready_at=then, last_used_at=then)
    return made


@pytest.fixture
def budget(settings) -> Callable[[int], None]:
    def set_to(most: int) -> None:
        names = settings.ENV.__slots__
        values = {name: getattr(settings.ENV, name) for name in names} | {"environments_max_bytes": most}
        settings.ENV = settings.ENV.__class__(**values)

    return set_to


def there(environments: list[Environment]) -> list[bool]:
    return [environment_is_intact(Environment.objects.get(pk=each.pk)) for each in environments]


def test_the_least_recently_used_leave_one_a_round_until_the_rest_fits(three, budget) -> None:
    size = environments_bytes() // 3
    budget(size + size // 2)
    assert make_room()
    assert there(three) == [False, True, True]
    assert make_room()
    assert there(three) == [False, False, True]
    assert not make_room()
    assert environments_bytes() <= size + size // 2


@pytest.mark.parametrize("most", [0, 10**12])
def test_nobody_leaves_without_a_limit_or_below_it(three, budget, most) -> None:
    budget(most)
    assert not make_room()
    assert there(three) == [True, True, True]


def test_what_is_needed_or_was_used_within_the_hour_stays(three, budget) -> None:
    budget(1)
    make_run(target=three[0].target, environment=three[0], state=RunState.WAITING)
    Environment.objects.filter(pk=three[1].pk).update(last_used_at=timezone.now() - timedelta(minutes=59))
    assert make_room()
    assert not make_room()
    assert there(three) == [True, True, False]


def test_one_that_cannot_be_removed_does_not_keep_the_others(three, budget, monkeypatch) -> None:
    budget(1)
    remove = make_room.__globals__["environment_evict"]

    def stubborn(environment, **options):
        if environment.pk == three[0].pk:
            raise OSError("busy")
        return remove(environment, **options)

    monkeypatch.setattr("runs.supervisor.room.environment_evict", stubborn)
    assert make_room()
    assert there(three) == [True, False, True]


def test_what_failed_builds_left_goes_after_an_hour(index: Index, order: Order, budget) -> None:
    budget(0)
    index.add_source("broken", "1.0", action="raise SystemExit('no compiler')")
    failed = environment_build(order("broken").pk)
    assert failed.state == EnvironmentState.FAILED
    assert not make_room()
    Environment.objects.filter(pk=failed.pk).update(state_since=timezone.now() - timedelta(hours=2))
    assert make_room()
    assert not make_room()
