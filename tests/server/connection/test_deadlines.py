"""For how long a connection waits: for operations, handlers, streams, bodies and farewells, on a fake clock."""

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from clerestory.handlers.api.messages import Request, Response, RouteLimits
from clerestory.handlers.api.operations import HalfClose
from clerestory.handlers.router import Router
from clerestory.server.connection.farewell import SHORT_LINGER
from clerestory.statemachines.connection import State as S
from clerestory.statemachines.connection import Trigger as T
from clerestory.statemachines.contract import Cause, Facts
from tests.server.support import (
    EVERY_POLLER,
    GET,
    A,
    B,
    Bench,
    C,
    Client,
    L,
    O,
    P,
    Pending,
    Q,
    X,
    awaiting,
    bench_of,
    closed,
    head,
    hello,
    post,
    read_all,
)

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


class Noticing(Pending):
    """An operation that says what its client's half-close is to do, and counts how often it is told of one."""

    def __init__(self, wish: HalfClose = HalfClose.ANSWER) -> None:
        super().__init__()
        self.wish = wish
        self.told = 0

    def client_closed(self) -> HalfClose:
        self.told += 1
        return self.wish


def waiting(*operations: Pending, limits: RouteLimits | None = None) -> Callable[[Request], Any]:
    """A handler that awaits one operation after the other, and answers with what they brought."""

    async def handler(request: Request) -> Response:
        request.limits = limits
        return Response(b"".join([await operation for operation in operations]))

    return handler


def streaming(*operations: Pending, limits: RouteLimits | None = None) -> Callable[[Request], Any]:
    """A handler whose response has begun before it awaits."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        for operation in operations:
            yield await operation

    def handler(request: Request) -> Response:
        request.limits = limits
        return Response(pieces())

    return handler


def half_closed(bench: Bench, poller: str = "") -> Client:
    """A client that has sent its request, and shut its side while it is waited for."""
    client = bench.connect(tcp=True)
    client.send(GET)
    client.half_close()
    if poller == "select":
        bench.settle()  # it looks at half-closes before each wait
    return client


# --- the client's half-close


@pytest.mark.parametrize("poller", EVERY_POLLER)
def test_an_operation_is_told_once_of_its_clients_half_close_and_the_loop_does_not_spin(poller: str) -> None:
    """The kernel reports it at each wait: what has been noted is not asked for any more."""
    operation = Noticing()
    with bench_of(waiting(operation), poller=poller) as bench:
        client = half_closed(bench, poller)
        assert (client.connection.state, operation.told) == (X, 1)
        bench.poller.calls.clear()
        for _ in range(3):
            bench.turn()
            assert bench.poller.events == []
        operation.finish(b"hello")
        assert client.settle().sent == head(length=5) + b"hello"


def test_waiting_for_a_half_close_costs_no_change_of_interest() -> None:
    operation = Pending()
    with bench_of(waiting(operation)) as bench:
        client = bench.connect()
        bench.poller.calls.clear()
        client.send(GET)
        bench.loop.call_from_thread(lambda: operation.finish(b"hello"))
        assert client.settle() == awaiting([Q, O, A], head(length=5) + b"hello", "1-1 GET / 200")
        assert bench.poller.calls == []


def test_each_operation_of_a_handler_is_told_of_a_half_close() -> None:
    first, second = Noticing(), Noticing()
    with bench_of(waiting(first, second)) as bench:
        client = half_closed(bench)
        first.finish(b"a")
        assert client.settle().way == [Q, X]
        assert (first.told, second.told) == (1, 1)
        second.finish(b"b")
        assert client.settle().sent == head(length=2) + b"ab"


@pytest.mark.parametrize(
    ("wish", "limits", "seconds"),
    [
        (HalfClose.ANSWER, None, 75),
        (HalfClose.BRIEFLY, None, 5),
        (HalfClose.BRIEFLY, RouteLimits(half_close=HalfClose.ANSWER), 75),
        (HalfClose.ANSWER, RouteLimits(half_close=HalfClose.BRIEFLY), 5),
        (HalfClose.ANSWER, RouteLimits(backend_timeout=20), 20),
    ],
)
def test_a_client_that_has_shut_its_side_is_answered_for_as_long_as_the_operation_or_its_route_says(
    wish: HalfClose, limits: RouteLimits | None, seconds: int
) -> None:
    operation = Noticing(wish)
    with bench_of(waiting(operation, limits=limits)) as bench:
        client = half_closed(bench)
        bench.after(seconds - 0.25)
        assert client.whole().state is X
        bench.after(0.25)
        assert client.settle().sent.startswith(b"HTTP/1.1 504 ")
        assert (client.connection.state, operation.cancelled) == (C, 1)


@pytest.mark.parametrize(
    ("wish", "limits", "options"),
    [
        (HalfClose.CANCEL, None, {}),
        (HalfClose.BRIEFLY, None, {"half_close_timeout": 0}),
        (HalfClose.ANSWER, RouteLimits(half_close=HalfClose.CANCEL), {}),
    ],
)
def test_what_is_not_worth_an_answer_is_given_up_at_once(
    wish: HalfClose, limits: RouteLimits | None, options: dict[str, float]
) -> None:
    operation = Noticing(wish)
    with bench_of(waiting(operation, limits=limits), **options) as bench:
        client = half_closed(bench)
        assert (client.connection.state, operation.cancelled) == (C, 1)
        assert client.connection.history[-1][1].row.ends is Cause.CLIENT


def test_a_silent_stream_is_given_up_soon_after_its_client_has_closed() -> None:
    """Browsers never half-close: who has shut its side and gets nothing has most probably gone."""
    operation = Pending()
    with bench_of(streaming(operation)) as bench:
        client = half_closed(bench)
        assert client.connection.state is X
        bench.after(4.75)
        assert client.connection.state is X
        bench.after(0.25)
        assert (client.connection.state, operation.cancelled) == (C, 1)
        assert client.transport.done == ["reset", "close"]


def test_a_stream_that_goes_on_is_sent_whole_to_a_client_that_has_shut_its_side() -> None:
    operations = [Pending() for _ in range(4)]
    with bench_of(streaming(*operations)) as bench:
        client = bench.connect(tcp=True)
        got = client.send(GET).sent
        client.far.shutdown(socket.SHUT_WR)
        for operation in operations:
            bench.after(4.5)
            assert client.connection.state is X
            operation.finish(b"more")
            got += client.settle().sent
        assert got == head(chunked=True) + b"3\r\none\r\n" + b"4\r\nmore\r\n" * 4 + b"0\r\n\r\n"
        assert client.connection.state is C


def test_a_half_close_while_the_body_is_still_to_be_read_does_not_hide_the_body() -> None:
    operation = Pending()

    async def handler(request: Request) -> Response:
        return Response(await operation + await request.read())

    with bench_of(handler) as bench:
        client = bench.connect(tcp=True)
        client.far.sendall(post(b"body"))
        assert client.half_close().state is X
        operation.finish(b"some")
        assert client.settle().sent == head(length=8) + b"somebody"


# --- the time of a handler


def test_all_the_waiting_of_a_handler_has_a_budget() -> None:
    """A handler that awaits one short operation after the other would never be late otherwise."""
    operations = [Pending() for _ in range(100)]
    with bench_of(waiting(*operations), handler_total=100) as bench:
        client = bench.connect()
        client.send(GET)
        for operation in operations[:9]:
            bench.after(10)
            operation.finish(b"")
            assert client.settle().state is Q
        bench.after(10)
        operations[9].finish(b"")
        assert client.settle().sent.startswith(b"HTTP/1.1 504 ")
        assert operations[10].executor is None


def test_a_budget_that_is_used_up_within_an_operation_ends_the_last_one_at_its_own_deadline() -> None:
    first, second = Pending(), Pending()
    with bench_of(waiting(first, second), handler_total=100) as bench:
        client = bench.connect()
        client.send(GET)
        bench.after(74)
        first.finish(b"")
        bench.after(74.75)
        assert client.whole().state is Q
        bench.after(0.25)
        assert client.whole().sent.startswith(b"HTTP/1.1 504 ")


def test_a_budget_that_is_shorter_than_the_deadline_of_an_operation_ends_it() -> None:
    with bench_of(waiting(Pending()), handler_total=10, backend_timeout=10) as bench:
        client = bench.connect()
        client.send(GET)
        bench.after(9.75)
        assert client.whole().state is Q
        bench.after(0.25)
        assert client.whole().sent.startswith(b"HTTP/1.1 504 ")


def test_a_route_that_waits_longer_than_the_budget_has_its_own_time() -> None:
    operation = Pending()
    with bench_of(waiting(operation, limits=RouteLimits(backend_timeout=3600))) as bench:
        client = bench.connect()
        client.send(GET)
        bench.after(3599)
        assert client.whole().state is Q
        bench.after(1)
        assert client.whole().sent.startswith(b"HTTP/1.1 504 ")


def test_a_route_may_be_less_patient_than_the_server_and_the_others_are_not() -> None:
    router, operations = Router(), [Pending(), Pending()]

    @router.get("/soon", backend_timeout=2)
    async def soon(request: Request) -> Response:
        return Response(await operations[0])

    @router.get("/")
    async def usual(request: Request) -> Response:
        return Response(await operations[1])

    with bench_of(router) as bench:
        first, second = bench.connect(), bench.connect()
        second.send(GET)
        first.send(GET.replace(b"/ ", b"/soon ", 1))
        bench.after(2)
        assert first.whole().sent.startswith(b"HTTP/1.1 504 ")
        assert second.whole().state is Q


def test_a_look_at_a_connection_tells_the_deadline_of_its_route() -> None:
    with bench_of(waiting(Pending(), limits=RouteLimits(backend_timeout=3600))) as bench:
        client = bench.connect()
        client.send(GET)
        facts = Facts(*client.connection.facts())
        assert (facts.pace, facts.progressed) == ((3600, 0, 0.0), 1024.0)


# --- streams


def test_a_stream_may_be_silent_for_the_deadline_each_time() -> None:
    operations = [Pending() for _ in range(3)]
    with bench_of(streaming(*operations)) as bench:
        client = bench.connect()
        client.send(GET)
        for operation in operations:
            bench.after(74)
            operation.finish(b"more")
            assert client.settle().sent.startswith(b"4\r\nmore\r\n")


def test_a_stream_of_empty_pieces_ends_at_the_deadline_of_a_silent_one() -> None:
    """Only bytes put a stream's deadline off, not the passages that bring none."""
    operations = [Pending() for _ in range(30)]
    with bench_of(streaming(*operations)) as bench:
        client = bench.connect()
        client.send(GET)
        for operation in operations[:7]:
            bench.after(10)
            operation.finish(b"")
            assert client.settle().state is P
        bench.after(5)
        operations[7].finish(b"")
        assert client.settle().state is C
        assert client.transport.done == ["reset", "close"]


def turns(bench: Bench, count: int) -> None:
    for _ in range(count):
        bench.turn()


def endless() -> Iterator[bytes]:
    yield b"one"
    while True:
        yield b""


def test_a_producer_that_hands_out_nothing_for_ever_is_ended_by_the_deadline() -> None:
    with bench_of(lambda _: Response(endless())) as bench:
        client = bench.connect()
        client.far.sendall(GET)
        for _ in range(3):
            bench.turn()
        assert client.connection.state is P, "it lets the others have their turn"
        bench.clock.now += 75
        for _ in range(3):
            bench.turn()
        assert client.connection.state is C


async def endless_steps() -> AsyncIterator[bytes]:
    for piece in endless():
        yield piece


@pytest.mark.parametrize("pieces", [endless, endless_steps])
def test_a_producer_that_hands_out_nothing_ends_briefly_after_its_client_has_shut_its_side(
    pieces: Callable[[], Any],
) -> None:
    """The time counts from then, though each passage begins the state anew."""
    with bench_of(lambda _: Response(pieces())) as bench:
        client = bench.connect()
        client.far.sendall(GET)
        turns(bench, 3)
        bench.clock.now += 20
        client.far.shutdown(socket.SHUT_WR)
        for _ in range(19):
            turns(bench, 2)
            assert client.connection.state in (P, X)
            bench.clock.now += 0.25
        bench.clock.now += 0.25
        turns(bench, 2)
        assert client.whole().state is C
        assert client.transport.done == ["reset", "close"]
        ended = client.connection.ending()
        assert (ended.row.ends, ended.trigger) == (Cause.CLIENT, T.PEER_CLOSED)


def test_a_stream_for_a_client_that_has_shut_its_side_is_put_off_by_bytes_alone() -> None:
    operations = [Pending() for _ in range(9)]
    with bench_of(streaming(*operations)) as bench:
        client = bench.connect()
        client.send(GET)
        client.half_close()
        bench.after(4)
        operations[0].finish(b"more")
        assert client.settle().state is X
        for operation in operations[1:4]:
            bench.after(1.5)
            operation.finish(b"")
            assert client.settle().state is X
        bench.after(0.5)
        operations[4].finish(b"")
        assert client.settle().state is C
        assert operations[6].executor is None


def test_what_comes_behind_empty_pieces_is_sent_to_a_client_that_has_shut_its_side() -> None:
    with bench_of(lambda _: Response(iter([b"one", *[b""] * 2000, b"two"]))) as bench:
        client = bench.connect()
        client.far.sendall(GET)
        client.far.shutdown(socket.SHUT_WR)
        assert client.settle().sent.endswith(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


def test_a_producer_that_hands_out_nothing_ends_when_its_client_has_gone() -> None:
    with bench_of(lambda _: Response(endless())) as bench:
        client = bench.connect()
        client.far.sendall(GET)
        bench.turn()
        client.far.close()
        for _ in range(3):
            bench.turn()
        assert client.connection.state is C


def test_the_time_in_which_a_streams_client_sends_its_own_body_is_not_the_producers() -> None:
    operation = Pending()

    async def pieces(request: Request) -> AsyncIterator[bytes]:
        yield b"one"
        await request.read()
        yield await operation

    with bench_of(lambda request: Response(pieces(request)), body_grace=1000) as bench:
        client = bench.connect()
        client.send(post(b"", length=50_000))
        for _ in range(5):
            bench.after(20)
            assert client.send(b"x" * 10_000).state in (B, P)
        bench.after(74)
        assert client.whole().state is P


# --- the request's body


def test_a_large_head_does_not_count_for_the_rate_of_its_body() -> None:
    """A body that trickles in is refused as soon behind a large head as behind a small one."""
    with bench_of(read_all) as bench:
        client = bench.connect()
        client.send(post(b"", b"x: " + b"y" * 8000, b"z: " + b"y" * 8000, length=100_000))
        bench.after(5)
        assert client.whole().state is B
        bench.after(0.25)
        assert client.whole().sent.startswith(b"HTTP/1.1 408 ")


# --- the farewell


def refused(bench: Bench) -> Client:
    """A client that has got its last answer, and sends on."""
    client = bench.connect()
    client.send(GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\nmore"))
    assert client.connection.state is L
    return client


def test_a_client_that_still_sends_is_listened_to_until_it_is_silent() -> None:
    """Many clients read an answer only when they have sent all: what comes is discarded until then."""
    with bench_of(hello) as bench:
        client = refused(bench)
        for _ in range(10):
            bench.after(1.75)
            assert client.send(b"x" * 50_000).state is L
        bench.after(2)
        assert client.whole().state is C


def test_a_farewell_is_bounded_in_all() -> None:
    with bench_of(hello, linger_total=10) as bench:
        client = refused(bench)
        for _ in range(9):
            bench.after(1)
            assert client.send(b"x").state is L
        bench.after(1)
        assert client.whole().state is C


def test_a_process_that_drains_does_not_wait_for_what_nobody_wants() -> None:
    with bench_of(hello) as bench:
        client = refused(bench)
        bench.service.draining = True
        bench.after(1.75)
        assert client.send(b"x").state is L
        bench.after(0.25)
        assert client.whole().state is C


@pytest.mark.parametrize(("beyond", "state"), [(0, L), (1, C)])
def test_only_so_many_clients_may_send_much_after_their_last_answer(beyond: int, state: S) -> None:
    with bench_of(hello, max_lingering=2) as bench:
        clients = [refused(bench) for _ in range(2 + beyond)]
        clients[-1].far.sendall(b"x" * (SHORT_LINGER - 4))
        assert clients[-1].settle().state is L
        clients[-1].far.sendall(b"x" * 10)
        assert clients[-1].settle().state is state
        assert bench.service.lingering() == 2 + beyond - (state is C)


def test_a_connection_that_has_ended_does_not_linger_any_more() -> None:
    with bench_of(hello) as bench:
        client = refused(bench)
        assert client.half_close() == closed([C])
        assert bench.service.lingering() == 0
