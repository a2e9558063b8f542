"""The family of processes behind one command: forked, watched, started again, and ended in order.

The parent has imported everything and opened nothing before it forks, so that its children share its memory and a
restart is a fork, not a start. It has one thread and blocks its signals: it learns of a child's end, a wish to stop or
a part that is ready from ``sigtimedwait`` alone, so that no handler can interrupt anything.
"""

import ctypes
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

from config.up.errors import StartRefused

logger = logging.getLogger("up")

STOP_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
#: What a part sends to its parent once it serves.
READY_SIGNAL = signal.SIGUSR1
SIGNALS = STOP_SIGNALS | {signal.SIGCHLD, READY_SIGNAL}

#: A part that lived longer than this is started again at once; otherwise it waits, longer each time.
STEADY_AFTER_S = 10.0
BACKOFF_MAX_S = 30.0

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One kind of child. ``main`` is its whole life; parts of a lower ``stage`` start first and end last."""

    name: str
    stage: int
    main: Callable[[], object]
    patience_s: float = 5.0
    death_signal: int = signal.SIGTERM


@dataclass(slots=True)
class _Child:
    part: Part
    pid: int = 0
    started_at: float = 0.0
    start_at: float = 0.0
    failures: int = field(default=0)


class Family:
    """The children of one ``up``. Made in the parent, before anything is forked.

    ``private`` are descriptors that only the parent may hold: a lock in a child would outlive the parent's death.
    """

    def __init__(self, *, private: Iterable[int] = ()) -> None:
        self._children: list[_Child] = []
        self._private = tuple(private)
        for number in (signal.SIGCHLD, READY_SIGNAL):
            signal.signal(number, signal.SIG_DFL)  # whoever started us may have ignored them, which is inherited
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)

    def start(self, parts: Iterable[Part]) -> None:
        """Starts ``parts`` beside those that run already."""
        for part in parts:
            child = _Child(part)
            self._children.append(child)
            self._fork(child)

    def is_alive(self, name: str) -> bool:
        """Whether the part ``name`` runs now."""
        self._reap()
        return any(child.pid and child.part.name == name for child in self._children)

    def watch(self, *, on_ready: Callable[[], object]) -> None:
        """Keeps every part running until a signal asks to stop; calls ``on_ready`` once, at the first ready sign."""
        is_ready = False
        while True:
            now = time.monotonic()
            for child in self._children:
                if not child.pid and child.start_at <= now:
                    self._fork(child)
            waits = [child.start_at - now for child in self._children if not child.pid]
            news = signal.sigtimedwait(SIGNALS, max(0.0, min([60.0, *waits])))
            for child in self._reap():
                self._plan_restart(child)
            if news is None:
                continue
            if news.si_signo in STOP_SIGNALS:
                return
            if news.si_signo == READY_SIGNAL and not is_ready:
                is_ready = True
                on_ready()

    def stop(self) -> None:
        """Ends every part, the highest stage first: asked, and killed when late or hurried by a second signal."""
        hurry = False
        for stage in sorted({child.part.stage for child in self._children}, reverse=True):
            members = [child for child in self._children if child.part.stage == stage]
            hurry = self._stop_stage(members, hurry)
        self._children.clear()

    def _stop_stage(self, members: list[_Child], hurry: bool) -> bool:
        _send(members, signal.SIGKILL if hurry else signal.SIGTERM)
        deadline = time.monotonic() + max(child.part.patience_s for child in members)
        while True:
            self._reap()
            living = [child for child in members if child.pid]
            if not living:
                return hurry
            news = signal.sigtimedwait(SIGNALS, max(0.0, deadline - time.monotonic()))
            if news is not None and news.si_signo in STOP_SIGNALS:
                hurry = True
            if hurry or time.monotonic() >= deadline:
                for child in living:
                    logger.warning("%s did not end in time and is killed", child.part.name)
                _send(living, signal.SIGKILL)
                deadline = time.monotonic() + 5.0

    def _reap(self) -> list[_Child]:
        """The children that have ended since the last call."""
        ended = []
        for child in self._children:
            if child.pid and os.waitpid(child.pid, os.WNOHANG)[0]:
                child.pid = 0
                ended.append(child)
        return ended

    def _plan_restart(self, child: _Child) -> None:
        now = time.monotonic()
        child.failures = 0 if now - child.started_at > STEADY_AFTER_S else child.failures + 1
        wait_s = min(BACKOFF_MAX_S, 0.25 * 2**child.failures) if child.failures > 1 else 0.0
        child.start_at = now + wait_s
        logger.warning("%s ended and is started again%s", child.part.name, f" in {wait_s:.0f} s" if wait_s else "")

    def _fork(self, child: _Child) -> None:
        child.started_at = time.monotonic()
        child.pid = _fork(
            partial(_without, self._private, child.part.main),
            name=child.part.name,
            death_signal=child.part.death_signal,
        )


def _without(descriptors: Iterable[int], main: Callable[[], object]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
    main()


def run_once(function: Callable[[], Any]) -> Any:
    """What ``function`` returns (JSON), computed in a child: the parent opens no connection and its memory stays.

    Raises StartRefused with its words when the child does, and when the child dies.
    """
    reader, writer = os.pipe()

    def main() -> None:
        os.close(reader)
        try:
            answer = {"value": function()}
        except StartRefused as refusal:
            answer = {"refusal": str(refusal)}
        with os.fdopen(writer, "w") as pipe:
            json.dump(answer, pipe)

    pid = _fork(main, name="up", death_signal=signal.SIGTERM, own_session=False)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    if not text:
        raise StartRefused("The start was interrupted, or went wrong as said above.")
    answer = json.loads(text)
    if "refusal" in answer:
        raise StartRefused(answer["refusal"])
    return answer["value"]


def _fork(main: Callable[[], object], *, name: str, death_signal: int, own_session: bool = True) -> int:
    """Runs ``main`` in a child of its own and returns its process id. The child never returns from here."""
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    _live(main, name=name, death_signal=death_signal, own_session=own_session, parent=parent)


def _live(main: Callable[[], object], *, name: str, death_signal: int, own_session: bool, parent: int) -> NoReturn:
    code = 1
    try:
        if own_session:
            os.setsid()  # Ctrl-C in the terminal reaches the parent alone, which ends its children in order
        _libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        _libc.prctl(_PR_SET_NAME, f"th-{name}".encode(), 0, 0, 0)  # what ps and top call it, 15 bytes at most
        if os.getppid() != parent:
            os._exit(1)
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        os.environ["TRAINHOUSE_PART"] = name
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        logger.exception("%s failed", name)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _send(children: Iterable[_Child], number: int) -> None:
    for child in children:
        if child.pid:
            os.kill(child.pid, number)
