"""Who makes room: a story for each rank; and the x-ray itself, when somebody holds all its connections."""

import contextlib
import socket
from collections.abc import AsyncIterator

from clerestory.handlers.api.messages import Response
from clerestory.server.connection.room import connections
from clerestory.server.xray.serve.room import GRACE, STUCK, dispensable
from clerestory.server.xray.serve.thread import LIMITS
from tests.server.support import GET, Bench, bench_of, big, hello, stuck
from tests.server.xray.serve.test_events import Listening
from tests.server.xray.support import Named, live, waiting


def chosen(bench: Bench, known: bool = False) -> int | None:
    """The number of the connection that makes room."""
    found = dispensable(connections(bench.service), bench.loop.clock(), lambda _: known)
    return found.facts()[0] if found is not None else None


def test_one_that_never_asked_makes_room_before_one_that_idles_and_the_oldest_first() -> None:
    with bench_of(hello) as bench:
        idle = bench.connect()
        idle.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        bench.after(1)
        silent = bench.connect()
        bench.after(GRACE)
        half = bench.connect()
        half.send(b"GET / HT")
        bench.after(GRACE)
        for number in (silent.connection.number, half.connection.number, idle.connection.number):
            assert chosen(bench) == number
            next(one for one in (silent, half, idle) if one.connection.number == number).leave()
        assert chosen(bench) is None


def test_one_that_has_just_come_is_waited_for() -> None:
    with bench_of(hello) as bench:
        bench.connect()
        bench.after(GRACE / 2)
        assert chosen(bench) is None
        bench.after(GRACE / 2)
        assert chosen(bench) is not None


def test_one_that_waits_for_its_answer_is_needed() -> None:
    with bench_of(waiting()) as bench:
        bench.connect().send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        bench.after(20)
        assert chosen(bench) is None


def test_one_that_waits_for_the_next_piece_of_its_answer_is_needed() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        await Named("gate")
        yield b"two"

    with bench_of(lambda _: Response(pieces())) as bench:
        client = bench.connect()
        client.send(GET)
        bench.after(20)
        assert client.connection.node.state == "PRODUCING"
        assert chosen(bench) is None


def test_one_that_does_not_take_its_answer_makes_room_unless_it_has_the_token() -> None:
    with bench_of(big) as bench:
        stuck(bench)
        bench.after(STUCK / 2)
        assert chosen(bench) is None
        bench.after(STUCK / 2)
        assert chosen(bench) is not None
        assert chosen(bench, known=True) is None


def test_somebody_who_holds_all_connections_keeps_nobody_out() -> None:
    """Idle ones, half heads, and answers that nobody takes: probes and operators come through all the same."""
    with live(hello) as server, contextlib.ExitStack() as held:
        for data in (b"", b"GET / HT", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"):
            for _ in range(2 * LIMITS.max_connections):
                one = held.enter_context(socket.create_connection(server.xray_address))
                one.sendall(data)
            for _ in range(5):
                assert server.stranger("/healthz").status == 200
                assert server.stranger("/readyz").status == 200
                assert server.stranger("/metrics").status == 200
                assert server.json("/snapshot.json")["version"] == 1


def test_one_who_looks_is_not_put_out_by_others_who_come() -> None:
    with live(hello) as server, contextlib.ExitStack() as held, Listening(server) as listening:
        listening._head()
        for _ in range(3 * LIMITS.max_connections):
            held.enter_context(socket.create_connection(server.xray_address))
        assert server.stranger("/healthz").status == 200
        assert [listening.event()["version"] for _ in range(3)] == [1, 1, 1]
