"""The watchdog: it tells the log of a loop that stands still, with where, and when it turns again."""

from collections.abc import Iterator

import pytest

from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import open_poller
from clerestory.server.xray.observe import watchdog
from clerestory.server.xray.observe.cut import Frame
from clerestory.server.xray.observe.watchdog import Watchdog, line
from tests.server.support import Clock, RecordingLogs
from tests.server.xray.support import Gate, live
from tests.support.client import Client
from tests.support.waiting import eventually


class Trial:
    """Two loops on one fake clock, and the watchdog of the one on the other."""

    def __init__(self) -> None:
        def crashed(machine: object, error: BaseException) -> None:
            raise error

        self.clock = Clock()
        self.main, self.ours = (Loop(open_poller(), crashed, clock=self.clock) for _ in range(2))
        self.logs = RecordingLogs()
        self.watchdog = Watchdog(self.main, self.ours, self.logs)
        self.ours.add(self.watchdog)

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


def test_a_blocked_loop_is_told_once_and_its_going_on_as_well(trial: Trial) -> None:
    assert trial.pass_(3) == []
    assert trial.pass_(4, blocked=True) == ["loop_blocked"]
    assert trial.pass_(4, blocked=True) == []
    assert trial.pass_(1) == ["loop_unblocked"]
    assert trial.pass_(5) == []
    assert trial.watchdog.blocks == 1
    assert trial.watchdog.longest_block == pytest.approx(8.25)  # two rounds of four seconds, and the step that ended it
    assert trial.pass_(4, blocked=True) == ["loop_blocked"]


def test_a_loop_that_waits_and_gets_no_processor_is_not_called_blocked(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a SIGSTOP of the whole process: the x-ray's thread may be the first to run again."""
    monkeypatch.setattr(watchdog, "step_of", lambda _: None)
    assert trial.pass_(4, blocked=True) == []
    assert trial.pass_(4) == []
    assert trial.watchdog.blocks == 0


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
        eventually(lambda: server.log("loop_unblocked"))
        assert client.answer().text == "late"
        (event,) = server.log("loop_blocked")
        assert (event["machine"], event["id"], event["level"]) == ("connection", "1", "warning")
        assert event["why"].startswith("GET /block?... QUERYING_BACKEND ")
        assert any("in sleep" in one or " sleep: " in one for one in event["stack"])
        assert event["seconds"] >= 0.9
        (event,) = server.log("loop_unblocked")
        assert event["blocked_seconds"] > 0.9


def test_what_is_told_at_the_end_is_no_less_than_what_was_told_before(trial: Trial) -> None:
    """The watchdog asks once a second: a loop may have been blocked for most of one when it is asked."""
    trial.pass_(0.5)
    for rounds in (3.25, 9.0):
        before = trial.clock.now
        trial.pass_(rounds, blocked=True)
        told = trial.clock.now - before
        trial.pass_(1)
        assert trial.watchdog.longest_block == pytest.approx(told + 0.25)
