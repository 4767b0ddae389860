"""The beat: who waits for it, and the watchdog that tells the log of a blocked loop."""

from collections.abc import Iterator
from typing import Any

import pytest

from server.loop import Loop
from server.poller import open_poller
from server.xray import beats
from server.xray.beats import INTERVAL, Beat, Beats, line
from server.xray.cut import Cut, Frame
from tests.server.support import Clock, RecordingLogs
from tests.server.xray.support import Gate, live
from tests.support.client import Client
from tests.support.waiting import eventually


class Trial:
    """Two loops on one fake clock, and the beats of the one about the other."""

    def __init__(self) -> None:
        def crashed(machine: object, error: BaseException) -> None:
            raise error

        self.clock = Clock()
        self.main, self.ours = (Loop(open_poller(), crashed, clock=self.clock) for _ in range(2))
        self.logs = RecordingLogs()
        self.beats = Beats(self.main, self.ours, self.logs)
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


def test_a_blocked_loop_is_told_once_and_its_going_on_as_well(trial: Trial) -> None:
    assert trial.pass_(3) == []
    assert trial.pass_(4, blocked=True) == ["loop_blocked"]
    assert trial.pass_(4, blocked=True) == []
    assert trial.pass_(1) == ["loop_goes_on"]
    assert trial.pass_(5) == []
    assert trial.beats.blocks == 1
    assert 6 < trial.beats.longest_block < 10
    assert trial.pass_(4, blocked=True) == ["loop_blocked"]


def test_a_loop_that_waits_and_gets_no_processor_is_not_called_blocked(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a SIGSTOP of the whole process: the x-ray's thread may be the first to run again."""
    monkeypatch.setattr(beats, "step_of", lambda _: None)
    assert trial.pass_(4, blocked=True) == []
    assert trial.pass_(4) == []
    assert trial.beats.blocks == 0


def test_a_frame_is_told_in_a_line() -> None:
    assert line(Frame("app.py", 12, "slow", "time.sleep(10)")) == "app.py:12 slow: time.sleep(10)"
    assert line(Frame("app.py", 12, "slow", "")) == "app.py:12 slow"


def test_the_log_says_in_which_handler_the_loop_stands() -> None:
    gate = Gate()
    with live(gate) as server, Client(server.address) as client:
        client.send(b"GET /block?token=abc HTTP/1.1\r\nhost: x\r\n\r\n")
        assert gate.entered.wait(20)
        eventually(lambda: server.log("loop_blocked"))
        gate.opened.set()
        eventually(lambda: server.log("loop_goes_on"))
        assert client.answer().text == "late"
        (event,) = server.log("loop_blocked")
        assert (event["machine"], event["id"], event["level"]) == ("connection", "1", "warning")
        assert event["why"].startswith("GET /block?... QUERYING_BACKEND ")
        assert any("in sleep" in one or " sleep: " in one for one in event["stack"])
        assert event["seconds"] >= 0.9
        (event,) = server.log("loop_goes_on")
        assert event["blocked_seconds"] > 0.9
