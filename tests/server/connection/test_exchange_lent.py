"""What operations hold beyond their end is given back when the exchange ends."""

import socket
from collections.abc import Iterator

import pytest

from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.backends.upstream.upstream import Upstream
from clerestory.server.connection.holding import HOLDING
from tests.server.support import (
    GET,
    A,
    Bench,
    Pending,
    bench_of,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


# --- what operations hold beyond their end


class Lent:
    """Something that an operation has taken."""

    def __init__(self) -> None:
        self.is_over = False
        self.left = 0

    def leave(self) -> None:
        self.left += 1
        self.is_over = True


class Taking(Pending):
    """An operation that begins to hold something."""

    def __init__(self, lent: Lent) -> None:
        super().__init__()
        self.lent = lent

    def holds(self) -> Lent:
        return self.lent


@pytest.mark.parametrize("ends", ["answer", "leave", "raise"])
def test_what_an_operation_holds_is_given_back_when_its_exchange_ends(ends: str) -> None:
    """A handler that asks an upstream and forgets its answer would keep a connection of it busy for minutes."""
    taking = Taking(Lent())

    async def handler(request: Request) -> Response:
        await taking
        if ends == "raise":
            raise KeyError
        return Response(b"hello")

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        assert taking.lent.left == 0
        if ends == "leave":
            client.leave()
        else:
            taking.finish()
            client.settle()
        assert taking.lent.left == 1
        assert bench.crashes == []


def test_what_is_over_by_itself_is_not_left_again() -> None:
    taking = Taking(Lent())

    async def handler(request: Request) -> Response:
        await taking
        taking.lent.is_over = True
        return Response(b"hello")

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        taking.finish()
        assert client.settle().state is A
        assert taking.lent.left == 0


def test_an_exchange_that_takes_again_and_again_forgets_what_is_over() -> None:
    """A stream may ask for hours."""
    takings = [Taking(Lent()) for _ in range(20 * HOLDING)]

    async def handler(request: Request) -> Response:
        for taking in takings:
            await taking
            taking.lent.is_over = taking is not takings[0]
        return Response(b"hello")

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        for taking in takings[:-1]:
            taking.finish()
            client.settle()
            assert client.connection.exchange is not None
            assert len(client.connection.exchange.holding or ()) <= HOLDING
        takings[-1].finish()
        client.settle()
        assert [taking.lent.left for taking in takings] == [1] + [0] * (len(takings) - 1)


def test_an_answer_of_an_upstream_that_nobody_reads_gives_its_connection_back_with_the_exchange() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        upstream = Upstream("http://{}:{}".format(*listener.getsockname()))

        async def handler(request: Request) -> Response:
            answer = await upstream.request("GET", "/")
            return Response(b"%d" % answer.status)

        with bench_of(handler) as bench:
            client = bench.connect()
            client.send(GET)
            far, _ = listener.accept()
            with far:
                far.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nbegun")
                eventually(lambda: client.settle().state is A)
                assert upstream.site(bench.loop).pools[0].load == 0
            upstream.close()


def test_a_response_that_could_not_be_begun_is_counted_as_the_500_it_became() -> None:
    """A counter never goes down."""
    counts: list[int] = []

    def pieces(bench: Bench) -> Iterator[bytes]:
        counts.append(bench.service.statuses[200])
        yield b"longer than promised"

    with bench_of(lambda _: Response(pieces(bench), fields=((b"content-length", b"3"),))) as bench:
        bench.connect().send(GET)
        counts.append(bench.service.statuses[200])
        assert (counts, bench.service.statuses[500]) == ([0, 0], 1)
