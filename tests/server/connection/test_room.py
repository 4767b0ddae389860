"""Room for further connections: which are open, and which are closed for others that wait."""

import pytest

from clerestory.server.connection.room import IDLE_ENOUGH, can_make_room, connections, make_room
from clerestory.statemachines.connection import State as S
from clerestory.statemachines.connection import Trigger as T
from tests.server.support import GET, bench_of, hello

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


def test_connections_are_those_in_the_map_and_nothing_else() -> None:
    with bench_of(hello) as bench:
        assert connections(bench.service) == []
        clients = [bench.connect() for _ in range(3)]
        assert connections(bench.service) == [client.connection for client in clients]
        bench.loop.fire(clients[1].connection, T.CLOSE_ORDERED)
        assert connections(bench.service) == [clients[0].connection, clients[2].connection]
        assert bench.service.accepted == 3


def test_those_that_have_been_idle_longest_are_closed_and_no_more_than_are_wanted() -> None:
    with bench_of(hello) as bench:
        clients = []
        for _ in range(4):
            clients.append(bench.connect())
            bench.after(IDLE_ENOUGH)
        assert make_room(bench.service, 2) == 2
        bench.settle()
        assert [client.connection.state is S.AWAITING_REQUEST for client in clients] == [False, False, True, True]


def test_one_that_was_just_busy_or_whose_request_has_come_is_not_idle() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        assert not can_make_room(bench.service)
        bench.clock.now = bench.loop.now + IDLE_ENOUGH
        bench.settle()
        assert can_make_room(bench.service)
        client.far.sendall(GET)
        assert (make_room(bench.service), client.connection.state) == (0, S.AWAITING_REQUEST)
        bench.settle()
        assert client.received().endswith(b"hello")
