"""Two thousand WebSockets, half of which do not read, and a thousand event streams, at once in one process: what each
costs, that another client is served meanwhile, and a drain that ends them all in order."""

import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.e2e.hosting.test_websocket_rules import Raw, seen
from tests.support.client import Client, request
from tests.support.figures import figure
from tests.support.server import ServerProcess, serving
from tests.support.waiting import eventually

TARGET = "tests.e2e.hosting.applications.websocket_rules:app"
WEBSOCKETS = 1000
STREAMS = 1000
KIB = 1024
WAITING = 90.0
"""Seconds for three thousand to be opened, or to end, on a busy machine."""
CLOSED = bytes((0x88, 2)) + (1012).to_bytes(2, "big")
"""A close frame with 1012 and no reason (RFC 6455 section 5.5.1)."""


@pytest.fixture(autouse=True)
def _descriptors() -> Iterator[None]:
    """As many as there may be, for this process and the server."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def each(server: ServerProcess, before: int, count: int, what: str) -> float:
    """KiB of the server's memory for each of so many."""
    size = (server.memory() - before) / count / KIB
    figure(f"{count:,} {what}: {size:.1f} KiB each")
    return size


@pytest.mark.many
@pytest.mark.timeout(300)  # on a busy machine; alone it takes half a minute
def test_three_thousand_are_held_and_a_drain_ends_each_in_its_way() -> None:
    quiet = ("--no-xray", "--no-access-log", "--websocket-send-timeout", "600", "--application-leave-timeout", "5")
    options = (*quiet, "--drain-timeout", "40", "--last-request-timeout", "0.1")
    with serving(*options, target=TARGET, descriptors=20_000) as server, ExitStack() as stack:
        stack.enter_context(Raw(server, "waits")).frame()
        before = server.memory()
        quick = [stack.enter_context(Raw(server, "waits")) for _ in range(WEBSOCKETS)]
        for one in quick:
            assert one.frame() == (0x81, b"ready")
        assert each(server, before, WEBSOCKETS, "WebSockets that wait") < 32

        before = server.memory()
        slow = [stack.enter_context(Raw(server, "floods")) for _ in range(WEBSOCKETS)]
        for one in slow:
            one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        _stands(server)
        assert each(server, before, WEBSOCKETS, "WebSockets that do not read") < 200

        before = server.memory()
        streams = [stack.enter_context(Client(server.address, data=request("/events"))) for _ in range(STREAMS)]
        for stream in streams:
            _until(stream, b"data: begun")
        assert each(server, before, STREAMS, "event streams") < 32
        assert seen(server, "events") == ["begun"] * STREAMS

        server.signal(signal.SIGTERM)
        for stream in streams:
            _until(stream, b"data: told")
        for one in quick:
            _until(one, CLOSED)
        stack.close()
        assert server.wait(WAITING) == 0
        ended = server.events("application_cancelled")
        assert {event["target"] for event in ended} <= {"/floods"}, ended[:3]


def _stands(server: ServerProcess) -> None:
    """Return when those that flood wait for room: the number that they count stays, while another client is served."""

    def has_stopped() -> bool:
        number = seen(server, "floods")
        return all(number == seen(server, "floods") for _ in range(20))

    eventually(has_stopped, WAITING, "all of them wait for room")


def _until(client: Client, data: bytes) -> None:
    """Read until `data` has come."""
    client.socket.settimeout(WAITING)
    while data not in client.buffer:
        client._more()
