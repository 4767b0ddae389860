"""At the bound on connections: idle ones make room, and where there are none, clients are refused as they come."""

import pytest

from tests.conftest import Start
from tests.support.client import Client, clients, request
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("within_the_worlds")

BOUND = 100


@pytest.mark.parametrize("asked", [False, True], ids=["silent", "kept"])
def test_idle_connections_do_not_deny_the_service_to_others(start: Start, asked: bool) -> None:
    """More of them than there may be: whoever comes is served, and the longest idle are closed without a reset."""
    server = start("--max-connections", str(BOUND), "--keep-alive-timeout", "60")
    with clients(server.address, BOUND, request("/hello") if asked else b"") as idle:
        if asked:
            assert [client.answer().status for client in idle] == [200] * BOUND
        server.settle(BOUND)
        for _ in range(50):
            with Client(server.address) as probe:
                assert probe.get("/hello").status == 200
        ends = [not client.is_open() for client in idle]
        assert any(ends)
        assert idle[ends.index(True)].end() == "closed"
    assert server.events("turned_away") == []


def test_clients_are_refused_at_once_where_every_connection_is_busy(start: Start) -> None:
    server = start("--max-connections", "10", "--pause-timeout", "0.2")
    with clients(server.address, 10, request("/wait/never")):
        server.settle(10)
        with clients(server.address, 300, request("/hello")) as waiting:
            answers = [client.answer() for client in waiting]
            assert {(answer.status, answer["retry-after"]) for answer in answers} == {(503, "1")}
        eventually(lambda: server.events("turned_away"))
    server.signal()


def test_new_clients_do_not_starve_behind_busy_ones(start: Start) -> None:
    """Those who ask again and again keep the loop busy; all that come are accepted and answered all the same."""
    server = start("--no-access-log")
    with clients(server.address, 200, request("/block/10")) as crowd:
        assert [client.answer().status for client in crowd] == [200] * 200
