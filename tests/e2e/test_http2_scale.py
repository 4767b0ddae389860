"""Many streams at a time: each is a machine, all are in view, and all is given back.

`python -m benchmarks http2` holds 1,000 connections with 100 streams each.
"""

from contextlib import ExitStack, closing

import pytest

from benchmarks.h2 import Wire, asking
from benchmarks.processes import ServerFailed
from tests.conftest import Start
from tests.support.http2 import HTTP2Client
from tests.support.waiting import eventually
from tests.support.xray import look

CONNECTIONS, STREAMS = 50, 100


def test_many_streams_wait_and_the_others_are_answered(start: Start) -> None:
    server = start("--h2c", "--xray", "127.0.0.1:0", "--no-access-log", target="tests.support.spoken:router")

    def streams() -> dict[str, int]:
        found: dict[str, int] = look(server, "snapshot.json")["machines"]["h2_stream"]["states"]
        return found

    with ExitStack() as held, HTTP2Client(server.address) as client:
        for _ in range(CONNECTIONS):
            held.enter_context(closing(Wire(server.address[1], asking(STREAMS, "/wait")))).settle()
        assert streams()["QUERYING_BACKEND"] == CONNECTIONS * STREAMS
        assert client.get(b"/squares/7").body == b"49"
        one_more = held.enter_context(closing(Wire(server.address[1], asking(STREAMS + 1, "/wait"))))
        with pytest.raises(ServerFailed, match="kind 3"):  # RST_STREAM: REFUSED_STREAM
            one_more.settle()
        assert client.get(b"/squares/8").body == b"64"
    eventually(lambda: sum(count for state, count in streams().items() if state != "CLOSED") == 0, what="their end")
    eventually(lambda: server.descriptors() <= server.base + 2, what="the descriptors being given back")
