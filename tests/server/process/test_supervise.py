"""Supervising: what is bound, and how long workers may retire. The whole of it is in tests/e2e/workers."""

import pytest

from clerestory.server.config import Limits
from clerestory.server.net.sockets import OpenError, listen
from clerestory.server.options import Options
from clerestory.server.process.inspector import Uninspected
from clerestory.server.process.supervise import deadlines, supervise
from tests.server.support import RecordingLogs

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


def test_an_address_that_is_taken_is_an_error_before_a_worker_is_executed() -> None:
    with listen("127.0.0.1", 0) as taken:
        options = Options(port=taken.getsockname()[1], workers=2)
        with pytest.raises(OpenError, match="in use"):
            supervise(options, ["/nonexistent"], RecordingLogs(), Uninspected())


def test_a_command_that_cannot_be_executed_is_a_start_that_failed() -> None:
    logs = RecordingLogs()
    assert supervise(Options(port=0, workers=2), ["/nonexistent"], logs, Uninspected()) == 1
    assert [event["event"] for event in logs.events][-2:] == ["worker_start_failed", "start_failed"]


def test_a_worker_may_take_as_long_as_its_drain_and_some_more() -> None:
    """Also as its application's shutdown: it is not killed for what it was allowed."""
    limits = Limits(drain_timeout=100.0, last_request_timeout=2.0, lifespan_shutdown_timeout=20.0)
    found = deadlines(limits)["worker_retire_timeout"]
    assert found == 122.0 + limits.worker_retire_timeout
