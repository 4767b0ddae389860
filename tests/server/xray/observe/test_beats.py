"""The beat: who waits for it is told once."""

from collections.abc import Iterator
from typing import Any

import pytest

from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import open_poller
from clerestory.server.xray.observe.beats import INTERVAL, Beat, Beats
from clerestory.server.xray.observe.cut import Cut
from tests.server.support import Clock, RecordingLogs


class Trial:
    """Two loops on one fake clock, and the beats of the one about the other."""

    def __init__(self) -> None:
        def crashed(machine: object, error: BaseException) -> None:
            raise error

        self.clock = Clock()
        self.main, self.ours = (Loop(open_poller(), crashed, clock=self.clock) for _ in range(2))
        self.logs = RecordingLogs()
        self.beats = Beats(self.main, self.ours)
        self.beats.begin()

    def pass_(self, seconds: float, *, blocked: bool = False) -> list[str]:
        """Let time pass in small steps; the events that were logged."""
        for _ in range(int(seconds * 4)):
            self.clock.now += 0.25
            if not blocked:
                self.main.turn(0)
            self.ours.turn(0)
            self.ours.turn(0)
        return self.logs.take()


@pytest.fixture
def trial() -> Iterator[Trial]:
    trial = Trial()
    yield trial
    trial.main.close()
    trial.ours.close()


class Executor:
    def __init__(self) -> None:
        self.beats = 0

    loop: Any = None

    def finished(self, operation: object, result: object = None, error: BaseException | None = None) -> None:
        assert isinstance(result, Cut)
        self.beats += 1


def test_it_beats_once_a_second_and_a_loop_that_turns_is_no_event(trial: Trial) -> None:
    assert trial.pass_(10 * INTERVAL) == []
    assert trial.beats.number in (9, 10)


def test_who_waits_is_told_once(trial: Trial) -> None:
    executors = [Executor() for _ in range(3)]
    operations = [Beat(trial.beats) for _ in executors]
    for operation, executor in zip(operations, executors, strict=True):
        operation.start(executor)
    operations[1].cancel()
    operations[1].cancel()
    trial.pass_(3 * INTERVAL)
    assert [executor.beats for executor in executors] == [1, 0, 1]
    assert operations[0].describe() == "the x-ray's next beat"
