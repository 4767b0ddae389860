"""Ten thousand idle connections in one process, another client served beside them, and what each of them costs."""

import pytest

from tests.conftest import Start
from tests.support.client import Client
from tests.support.crowd import crowd
from tests.support.figures import figure
from tests.support.server import ServerProcess

EACH = {"epoll": 5000, "poll": 1000}
"""Connections of each of two processes. To poll(2) the whole set is handed at each wait: ten thousand take minutes."""

KIB = 1024

FULL_HISTORY = 13
"""Requests after which a connection remembers as much as it ever will."""


def held(server: ServerProcess, count: int, requests: int, memory: int) -> float:
    """Hold twice `count` connections that have asked so many times; bytes of the server's memory for each."""
    with crowd("idle", server.address, count, requests) as one, crowd("idle", server.address, count, requests) as other:
        assert (one.line(), other.line()) == ("ready", "ready")
        server.settle(2 * count)
        each = (server.memory() - memory) / (2 * count)
        with Client(server.address) as client:
            for _ in range(100):
                assert client.get("/hello").status == 200
        cpu = server.cpu()
        with Client(server.address) as client:
            assert client.get("/sleep/1000").status == 200
        figure(
            f"{2 * count:,} idle connections: {(server.cpu() - cpu) * 100:.0f} % of a processor, mostly for the sweep"
        )
        assert server.cpu() - cpu < 0.5
        assert (one.end(), other.end()) == (str(count), str(count))
    return each


@pytest.mark.many
def test_ten_thousand_idle_connections_are_held_while_another_is_served(
    start: Start, pytestconfig: pytest.Config
) -> None:
    count = EACH[pytestconfig.getoption("--poller")]
    server = start("--no-access-log", "--keep-alive-timeout", "600", descriptors=20_000)
    with Client(server.address) as client:
        assert client.get("/hello").status == 200
        assert client.get("/sleep/1").status == 200
    server.settle()
    empty = server.memory()
    each = held(server, count, 1, empty)
    figure(f"memory of an idle connection after its first request: {each / KIB:.2f} KiB")
    assert each < 8 * KIB
    server.settle()
    each = held(server, count, FULL_HISTORY, empty)
    figure(f"memory of an idle connection whose history is full: {each / KIB:.2f} KiB")
    assert each < 8 * KIB
    server.settle()
