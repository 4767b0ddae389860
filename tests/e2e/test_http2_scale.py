"""A hundred thousand streams at a time: each is a machine, all are in view, others are answered meanwhile, and all is
given back."""

import resource
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from benchmarks.h2 import Wire, asking
from benchmarks.processes import ServerFailed
from tests.conftest import Start
from tests.support.figures import figure
from tests.support.http2 import HTTP2Client
from tests.support.waiting import eventually
from tests.support.xray import look

CONNECTIONS, STREAMS = 1000, 100
AT_ONCE = 50
"""Connections whose streams are asked for at once."""

KIB = 1024
LONG = [word for name in ("backend-timeout", "handler-total", "keep-alive-timeout") for word in (f"--{name}", "900")]


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """For the clients' ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4 * CONNECTIONS), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.many
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("many_descriptors")
def test_many_streams_wait_and_the_others_are_answered(start: Start) -> None:
    options = ("--h2c", "--xray", "127.0.0.1:0", "--no-access-log", *LONG)
    server = start(*options, target="tests.support.spoken:router", descriptors=4 * CONNECTIONS)

    def streams() -> dict[str, int]:
        found: dict[str, int] = look(server, "snapshot.json")["machines"]["h2_stream"]["states"]
        return found

    with ExitStack() as held, HTTP2Client(server.address) as client:
        assert client.get(b"/squares/6").body == b"36"
        before = server.memory()
        for _ in range(CONNECTIONS // AT_ONCE):
            wires = [
                held.enter_context(closing(Wire(server.address[1], asking(STREAMS, "/wait")))) for _ in range(AT_ONCE)
            ]
            for wire in wires:
                wire.settle()
            assert client.get(b"/squares/7").body == b"49"
        assert streams()["QUERYING_BACKEND"] == CONNECTIONS * STREAMS
        each = (server.memory() - before) / CONNECTIONS
        figure(f"memory of a connection with {STREAMS} waiting streams: {each / KIB:.0f} KiB")
        assert each < 1000 * KIB
        one_more = held.enter_context(closing(Wire(server.address[1], asking(STREAMS + 1, "/wait"))))
        with pytest.raises(ServerFailed, match="kind 3"):  # RST_STREAM: REFUSED_STREAM
            one_more.settle()
        assert client.get(b"/squares/8").body == b"64"
    eventually(lambda: sum(count for state, count in streams().items() if state != "CLOSED") == 0, 600, "their end")
    eventually(lambda: server.descriptors() <= server.base + 2, what="the descriptors being given back")
