"""Signals: each is noted and wakes the loop; some do not wait for a loop that does not come round."""

import os
import select
import signal
from collections.abc import Iterator
from contextlib import closing
from types import FrameType
from typing import Any

import pytest

from clerestory.server.process.signals import ENDING, OTHERS, UNTAKEN, Signals, signals_by_socket
from tests.server.support import Clock

pytestmark = pytest.mark.usefixtures("every_descriptor_back")

TERM, INT, USR1, QUIT = (int(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGQUIT))


class Told:
    """What a process is told of signals that do not wait."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.signals = Signals()
        self.blocked: list[tuple[int, float]] = []
        self.signals.watch(self.clock, self._note)

    def _note(self, number: int, frame: FrameType | None, seconds: float) -> None:
        self.blocked.append((number, seconds))


@pytest.fixture
def told() -> Iterator[Told]:
    told = Told()
    with closing(told.signals):
        yield told


def readable(signals: Signals) -> bool:
    return bool(select.select([signals], [], [], 0)[0])


def test_signals_are_taken_in_their_order_of_those_that_end_us_two_of_a_kind(told: Told) -> None:
    for number in (USR1, TERM, USR1, INT, TERM, TERM):
        told.signals.note(number)
    assert told.signals.take() == [USR1, TERM, INT, TERM]
    assert told.signals.take() == []


def test_a_second_signal_ends_a_process_that_has_not_taken_the_first_for_a_while(told: Told) -> None:
    told.signals.note(TERM)
    told.clock.now += UNTAKEN
    told.signals.note(INT)
    assert told.blocked == [(INT, UNTAKEN)]


def test_two_signals_that_come_together_wait_for_the_loop(told: Told) -> None:
    told.signals.note(TERM)
    told.clock.now += UNTAKEN / 2
    told.signals.note(TERM)
    assert told.blocked == []


def test_a_second_signal_after_the_first_has_been_taken_waits_for_the_loop(told: Told) -> None:
    told.signals.note(TERM)
    told.signals.take()
    told.clock.now += 10
    told.signals.note(TERM)
    assert told.blocked == []


def test_signals_that_end_nothing_are_no_first_and_no_second(told: Told) -> None:
    told.signals.note(USR1)
    told.clock.now += 10
    told.signals.note(TERM)
    told.clock.now += 10
    told.signals.note(USR1)
    assert told.blocked == []


def test_sigquit_waits_for_nothing(told: Told) -> None:
    told.signals.note(QUIT)
    assert told.blocked == [(QUIT, 0.0)]


def test_on_the_way_out_no_signal_ends_the_process(told: Told) -> None:
    told.signals.unwatch()
    for number in (TERM, TERM, QUIT):
        told.signals.note(number)
        told.clock.now += 10
    assert told.blocked == []


def test_a_real_signal_is_noted_and_wakes_the_loop_and_the_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (*ENDING, *OTHERS)]
    with signals_by_socket() as signals:
        assert not readable(signals)
        os.kill(os.getpid(), TERM)
        assert readable(signals)
        assert signals.take() == [TERM]
        assert not readable(signals)
    assert [signal.getsignal(number) for number in (*ENDING, *OTHERS)] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_signal_that_somebody_else_has_taken_or_ignores_is_left_to_them() -> None:
    def ours(*_: Any) -> None:
        """An application's handler."""

    before = {number: signal.signal(number, ours) for number in (signal.SIGALRM, signal.SIGHUP)}
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_by_socket():
            assert signal.getsignal(signal.SIGALRM) is ours
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
