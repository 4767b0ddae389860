"""The observer's interface: the x-ray keeps it, and a server without an observer serves all the same."""

import inspect

import pytest

from clerestory.server.observer import Missed, Observer, Unobserved
from clerestory.server.xray.observe.recorder import Recorder
from tests.server.support import bench_of, hello

REPORTS = [name for name in vars(Observer) if not name.startswith("_")]


def test_a_request_is_not_late_before_the_close() -> None:
    """The two times are of two threads' looks at one clock: none is negative."""
    assert Missed(1, "", 15.0, 15.0, 1000.0, 1000.5, 3).late == 0.5
    assert Missed(1, "", 15.0, 15.0, 1000.0, 999.5, 3).late == 0.0


@pytest.mark.parametrize("kind", [Recorder, Unobserved])
@pytest.mark.parametrize("report", REPORTS)
def test_every_report_is_taken_as_the_interface_says(kind: type, report: str) -> None:
    wanted = inspect.signature(getattr(Observer, report)).parameters
    assert list(inspect.signature(getattr(kind, report)).parameters) == list(wanted)


def test_there_are_reports() -> None:
    assert {"connection_ended", "request_missed", "request_failed"} <= set(REPORTS)


def test_without_an_observer_connections_end_and_the_log_says_so() -> None:
    with bench_of(hello, head_timeout=10.0) as bench:
        bench.service.observer = Unobserved()
        client = bench.connect()
        client.send(b"GET / HT")
        bench.after(10)
        client.far.close()
        bench.settle()
        assert "connection_ended" in [event["event"] for event in bench.logs.events]
        assert bench.service.open_connections() == 0
        assert not bench.crashes
        assert not bench.recorder.ends
