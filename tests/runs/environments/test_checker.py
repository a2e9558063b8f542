"""Checks in the background: one at a time, the newest wish of each person, answers kept for a while."""

import threading
from collections.abc import Callable

import pytest

from runs.environments import checker as module
from runs.environments.checker import Checker
from runs.environments.foresight import Finding, Outcome
from tests.e2e.house import wait_for

FINE = Finding(outcome=Outcome.FOUND, sentence="fine")


class Gate:
    """Checks that last until they are let go, and what they did."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.began: list[str] = []
        self.most_at_once = 0
        self._inside = 0

    def check(self, name: str) -> Callable[[], Finding]:
        def wait() -> Finding:
            self.began.append(name)
            self._inside += 1
            self.most_at_once = max(self.most_at_once, self._inside)
            assert self.open.wait(10)
            self._inside -= 1
            return Finding(outcome=Outcome.FOUND, sentence=name)

        return wait


@pytest.fixture
def checker() -> Checker:
    return Checker()


@pytest.fixture
def gate() -> Gate:
    return Gate()


def answered(checker: Checker, digest: str) -> Finding:
    return wait_for(lambda: checker.look(digest)[1], timeout_s=10, what=f"an answer for {digest}", every_s=0.01)


def test_an_answer_comes_later_and_is_kept(checker: Checker, gate: Gate) -> None:
    assert checker.look("a") == (False, None)
    assert checker.ask("a", person=1, check=gate.check("a")) is None
    assert checker.look("a") == (True, None)
    gate.open.set()
    assert answered(checker, "a").sentence == "a"
    assert checker.ask("a", person=2, check=gate.check("again")).sentence == "a"
    assert gate.began == ["a"]


def test_one_is_under_way_at_a_time_and_the_newest_wish_of_a_person_wins(checker: Checker, gate: Gate) -> None:
    checker.ask("first", person=1, check=gate.check("first"))
    wait_for(lambda: gate.began == ["first"], timeout_s=10, what="the first check", every_s=0.01)
    for digest in ("typed", "typed more", "typed all"):
        checker.ask(digest, person=1, check=gate.check(digest))
    checker.ask("other", person=2, check=gate.check("other"))
    assert checker.look("typed") == (False, None)
    gate.open.set()
    answered(checker, "other")
    assert gate.began == ["first", "typed all", "other"]
    assert gate.most_at_once == 1


def test_an_answer_is_forgotten_after_its_time(checker: Checker, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    gate.open.set()
    monkeypatch.setattr(module, "KEPT_S", {Outcome.FOUND: 0.0})
    checker.ask("a", person=1, check=gate.check("a"))
    wait_for(lambda: checker.look("a") == (False, None), timeout_s=10, what="the end of the check", every_s=0.01)
    assert checker.ask("a", person=1, check=gate.check("a")) is None


def test_only_so_many_answers_are_kept(checker: Checker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_KEPT", 2)
    for number in range(4):
        checker.ask(str(number), person=number, check=lambda: FINE)
        answered(checker, str(number))
    assert [checker.look(str(number))[1] for number in range(4)] == [None, None, FINE, FINE]


def test_a_person_who_asks_too_often_is_told_so_and_others_are_not(checker: Checker) -> None:
    for number in range(module.MOST_A_MINUTE):
        checker.ask(f"{number}", person=1, check=lambda: FINE)
        answered(checker, f"{number}")
    refused = checker.ask("one more", person=1, check=lambda: FINE)
    assert refused is not None
    assert "20 checks a minute" in refused.sentence
    assert checker.ask("one more", person=2, check=lambda: FINE) is None


def test_the_waiting_room_is_finite(checker: Checker, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 1)
    checker.ask("a", person=1, check=gate.check("a"))
    wait_for(lambda: gate.began == ["a"], timeout_s=10, what="the first check", every_s=0.01)
    assert checker.ask("b", person=2, check=gate.check("b")) is None
    refused = checker.ask("c", person=3, check=gate.check("c"))
    assert refused is not None
    assert "too many checks are waiting" in refused.sentence
    gate.open.set()


def test_a_check_that_breaks_is_said_and_the_next_one_goes_on(
    checker: Checker, caplog: pytest.LogCaptureFixture
) -> None:
    checker.ask("bad", person=1, check=lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    assert "the check itself failed" in answered(checker, "bad").sentence
    assert "ZeroDivisionError" in caplog.text
    checker.ask("good", person=1, check=lambda: FINE)
    assert answered(checker, "good") == FINE


def test_a_person_may_ask_so_often_within_a_minute_and_others_all_the_same(
    checker: Checker, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    asked = [checker.may_ask(1) for _ in range(module.MOST_ASKED_A_MINUTE + 5)]
    assert asked.count(True) == module.MOST_ASKED_A_MINUTE
    assert checker.may_ask(2)
    now += 61
    assert checker.may_ask(1)
