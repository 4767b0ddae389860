"""One exchange: what handlers, operations and bodies do, rightly and wrongly, and what becomes of the connection."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import File, Piece, Request, Response
from clerestory.handlers.echo import echo
from clerestory.server.connection.sender import PIECES
from clerestory.server.connection.stream import GATHERED
from clerestory.statemachines.connection import State as S
from clerestory.statemachines.connection import Trigger as T
from clerestory.statemachines.contract import Interest
from tests.server.support import (
    GET,
    HELLO,
    NOTHING,
    USUAL,
    A,
    Body,
    C,
    L,
    O,
    P,
    Pending,
    Q,
    at,
    awaiting,
    bench_of,
    closed,
    error,
    head,
    post,
    temporary,
)

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    ("plain", "kind", "body"),
    [
        ({"n": 1}, b"application/json", b'{"n": 1}'),
        ([1], b"application/json", b"[1]"),
        ("text", b"text/plain; charset=utf-8", b"text"),
        (b"bytes", b"application/octet-stream", b"bytes"),
    ],
)
def test_a_dict_a_list_text_and_bytes_are_answers(plain: Any, kind: bytes, body: bytes, asynchronous: bool) -> None:
    def at_once(request: Request) -> Any:
        return plain

    async def later(request: Request) -> Any:
        return plain

    with bench_of(later if asynchronous else at_once) as bench:
        whole = bench.connect().send(GET)
        assert whole.state is A
        assert b"\r\ncontent-type: " + kind + b"\r\n" in whole.sent
        assert whole.sent.endswith(b"\r\n\r\n" + body)


# --- streamed answers


def test_a_streamed_answer_goes_out_in_chunks_and_small_pieces_share_one() -> None:
    with bench_of(lambda _: Response(iter([b"one", b"two", b"three"]))) as bench:
        whole = bench.connect().send(GET)
        assert whole.sent == head(chunked=True) + b"b\r\nonetwothree\r\n0\r\n\r\n"
        assert whole == awaiting([Q, O, P, O, A], whole.sent, "1-1 GET / 200")


def test_a_streamed_answer_to_http_1_0_is_ended_by_the_close() -> None:
    with bench_of(lambda _: Response(iter([b"one", b"two"]))) as bench:
        whole = bench.connect().send(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        assert whole == at(L, [Q, O, P, O, L], head(close=True) + b"onetwo", "1-1 GET / 200")


def test_a_streamed_answer_of_a_promised_length_goes_out_as_it_is() -> None:
    fields = ((b"content-length", b"6"),)
    with bench_of(lambda _: Response(iter([b"one", b"two"]), fields=fields)) as bench:
        sent = bench.connect().send(GET).sent
        assert sent == b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n" + head()[len("HTTP/1.1 200 OK\r\n") :] + b"onetwo"


def test_a_streamed_answer_without_a_piece_is_whole_all_the_same() -> None:
    with bench_of(lambda _: Response(iter([]))) as bench:
        assert bench.connect().send(GET) == awaiting([Q, O, A], head(chunked=True) + b"0\r\n\r\n", "1-1 GET / 200")


def test_pieces_however_small_are_put_together_in_a_bounded_number() -> None:
    body = Body([b"x"] * (GATHERED + 1))
    with bench_of(lambda _: Response(body)) as bench:
        sent = bench.connect().send(GET).sent
        assert sent == head(chunked=True) + b"%x\r\n%b\r\n1\r\nx\r\n0\r\n\r\n" % (GATHERED, b"x" * GATHERED)


@pytest.mark.parametrize("beyond", [0, 1])
def test_pieces_are_put_together_up_to_a_bound_on_their_bytes(beyond: int) -> None:
    with bench_of(lambda _: Response(iter([b"x" * (9 + beyond), b"y"])), max_output=10) as bench:
        sent = bench.connect().send(GET).sent
        both = b"a\r\nxxxxxxxxxy\r\n"
        each = b"a\r\nxxxxxxxxxx\r\n1\r\ny\r\n"
        assert sent == head(chunked=True) + (each if beyond else both) + b"0\r\n\r\n"


def test_a_file_that_was_taken_but_not_yet_sent_is_closed_when_the_client_leaves() -> None:
    file = File(temporary(b"data"), 0, 4)
    pieces: list[Piece] = [b"x", file]
    with bench_of(lambda _: Response(iter(pieces))) as bench:
        client = bench.connect(takes=[0])
        client.far.sendall(GET)
        bench.turn()
        client.leave()
        assert client.connection.state is C
    assert not file.owned


@pytest.mark.parametrize("status", [204, 304])
def test_a_streamed_answer_without_content_sends_none_and_is_closed(status: int) -> None:
    body = Body([b"one"])
    with bench_of(lambda _: Response(body, status)) as bench:
        client = bench.connect()
        assert b"one" not in client.send(GET).sent
        assert client.connection.state is A
    assert body.closed == 1


def test_head_gets_the_head_of_a_streamed_answer_whose_body_is_only_closed() -> None:
    body = Body([b"one"])
    with bench_of(lambda _: Response(body)) as bench:
        whole = bench.connect().send(GET.replace(b"GET", b"HEAD"))
        assert whole == awaiting([Q, O, A], head(chunked=True), "1-1 HEAD / 200")
    assert (body.closed, body.taken) == (1, 0)


def test_a_body_is_closed_once_when_it_has_been_sent() -> None:
    body = Body([b"one", b"two"])
    with bench_of(lambda _: Response(body)) as bench:
        bench.connect().send(GET)
    assert (body.closed, body.taken) == (1, 2)


def test_a_body_is_closed_once_when_the_client_leaves_in_the_middle() -> None:
    body = Body([b"x" * 200_000] * 50)
    with bench_of(lambda _: Response(body)) as bench:
        client = bench.connect(buffer=4096)
        assert client.send(GET).state is O
        assert 0 < body.taken < 5
        client.far.close()
        whole = client.settle()
        assert whole == closed(
            [C], b"", "ended: client SENDING_RESPONSE PEER_RESET", "1-1 GET / 200 client in SENDING_RESPONSE"
        )
    assert body.closed == 1


def test_a_producer_gets_no_further_than_its_allowance_in_one_turn() -> None:
    body = Body([b"x" * 70_000] * 100)
    with bench_of(lambda _: Response(body)) as bench:
        client = bench.connect()
        client.transport.write = takes_all  # type: ignore[method-assign]
        client.far.sendall(GET)
        bench.turn()
        assert body.taken == PIECES
        bench.turn()
        assert PIECES < body.taken <= 2 * PIECES
        assert client.settle() == awaiting(client_way(101), b"", "1-1 GET / 200")


def takes_all(data: bytes | memoryview, more: bool = False) -> int:
    return len(data)


def client_way(pieces: int) -> list[S]:
    return [Q, O] + [P, O] * (pieces - 1) + [A]


def test_an_asynchronous_body_is_stepped_like_a_handler() -> None:
    pending = Pending()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield await pending
        yield b"three"

    with bench_of(lambda _: Response(pieces())) as bench:
        client = bench.connect()
        assert client.send(GET) == at(P, [Q, O, P], head(chunked=True) + b"3\r\none\r\n")
        pending.finish(b"two")
        assert client.settle() == awaiting(
            [P, O, P, O, P, O, A], b"3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n", "1-1 GET / 200"
        )


def test_an_echo_sends_what_has_come_while_the_rest_is_still_to_come() -> None:
    with bench_of(echo) as bench:
        client = bench.connect()
        request = post(b"abcdef")
        assert client.send(request[:-3]).sent.endswith(b"\r\n\r\nabc")
        assert client.send(b"def") == awaiting([P, O, P, O, A], b"def", "1-1 POST / 200")


def test_an_asynchronous_body_that_is_abandoned_midway_runs_its_finally() -> None:
    pending, ran = Pending(), []

    async def pieces() -> AsyncIterator[bytes]:
        try:
            yield b"one"
            yield await pending
        finally:
            ran.append("finally")

    with bench_of(lambda _: Response(pieces())) as bench:
        client = bench.connect()
        client.send(GET)
        assert client.leave() == closed(
            [C], b"", "ended: client PRODUCING PEER_RESET", "1-1 GET / 200 client in PRODUCING"
        )
    assert (ran, pending.cancelled) == (["finally"], 1)


def test_an_asynchronous_body_that_waits_for_the_socket_when_abandoned_runs_its_finally() -> None:
    ran = []

    async def pieces() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 100_000
        finally:
            ran.append("finally")

    with bench_of(lambda _: Response(pieces())) as bench:
        client = bench.connect(buffer=4096)
        assert client.send(GET).state is O
        assert client.leave().state is C
    assert ran == ["finally"]


def test_an_asynchronous_body_that_awaits_in_its_finally_when_abandoned_is_given_up_and_told_of() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        try:
            yield b"x" * 1_000_000
        finally:
            await Pending()

    with bench_of(lambda _: Response(pieces())) as bench:
        client = bench.connect(buffer=4096)
        assert client.send(GET).state is O
        whole = client.leave()
        assert whole.logged == [
            "ended: client SENDING_RESPONSE PEER_RESET",
            "failed: RuntimeError",
            "1-1 GET / 200 client in SENDING_RESPONSE",
        ]


def test_the_head_of_a_streamed_answer_waits_for_its_first_piece() -> None:
    pending = Pending()

    async def pieces() -> AsyncIterator[bytes]:
        yield await pending

    with bench_of(lambda _: Response(pieces())) as bench:
        client = bench.connect()
        assert client.send(GET) == at(Q, [Q])
        pending.finish(error=HTTPError(403, "Not yours."))
        assert client.settle() == awaiting(
            [Q, O, A], error(403, "Forbidden", "Not yours.", close=False), "1-1 GET / 403"
        )


# --- operations


def test_a_handler_that_waits_for_an_operation_is_resumed_with_what_it_brings() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        return Response(await pending)

    with bench_of(handler) as bench:
        client = bench.connect()
        assert client.send(GET) == at(Q, [Q])
        assert client.connection.exchange is not None
        assert client.connection.exchange.operation is pending
        assert client.connection.exchange.loop is bench.loop
        pending.finish(b"hello")
        assert client.settle() == awaiting([Q, O, A], HELLO, "1-1 GET / 200")
    assert pending.cancelled == 0


def test_an_operation_that_fails_raises_in_the_handler() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        try:
            await pending
        except OSError as failure:
            return Response(str(failure).encode())
        raise AssertionError

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        pending.finish(error=OSError("broken"))
        assert client.settle() == awaiting([Q, O, A], head(length=6) + b"broken", "1-1 GET / 200")


def test_a_failed_operation_that_the_handler_lets_pass_is_a_500_and_no_more_is_told_to_the_client() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        return Response(await pending)

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        pending.finish(error=OSError("secret"))
        assert client.settle() == awaiting(
            [Q, O, A], error(500, "Internal Server Error", close=False), "failed: OSError", "1-1 GET / 500"
        )


def test_an_operation_that_can_not_be_begun_raises_in_the_handler() -> None:
    async def handler(request: Request) -> Response:
        try:
            await Pending(refuses=OSError("full"))
        except OSError as failure:
            return Response(str(failure).encode())
        raise AssertionError

    with bench_of(handler) as bench:
        assert bench.connect().send(GET).sent == head(length=4) + b"full"


def test_an_operation_is_cancelled_when_the_client_resets_and_is_ignored_afterwards() -> None:
    pending = Pending()
    ran = []

    async def handler(request: Request) -> Response:
        try:
            return Response(await pending)
        finally:
            ran.append("finally")

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        assert client.leave() == closed(
            [C], b"", "ended: client QUERYING_BACKEND PEER_RESET", "1-1 GET / - client in QUERYING_BACKEND"
        )
        assert (pending.cancelled, ran) == (1, ["finally"])
        pending.finish(b"late")
        assert client.whole() == closed([])


def test_an_operation_that_is_late_is_cancelled_and_its_client_told_504() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        return Response(await pending)

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        bench.after(74.75)
        assert client.whole() == at(Q, [])
        bench.after(0.25)
        late = error(504, "Gateway Timeout", "The application did not answer in time.")
        assert client.whole() == at(L, [O, L], late, "1-1 GET / 504 deadline in QUERYING_BACKEND")
        assert pending.cancelled == 1
        pending.finish(b"late")
        assert client.whole() == at(L, [])


def test_an_operation_that_is_late_in_the_middle_of_an_answer_cuts_it() -> None:
    pending = Pending()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield await pending

    with bench_of(lambda _: Response(pieces())) as bench:
        client = bench.connect()
        client.send(GET)
        bench.after(75)
        assert client.whole() == closed(
            [C],
            b"",
            "ended: deadline PRODUCING DEADLINE_PASSED",
            "1-1 GET / 200 deadline in PRODUCING",
        )
        assert client.transport.done == ["reset", "close"]


def test_each_operation_has_the_whole_deadline_to_itself() -> None:
    first, second = Pending(), Pending()

    async def handler(request: Request) -> Response:
        return Response(await first + await second)

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        bench.after(74)
        first.finish(b"a")
        bench.after(74)
        assert client.whole() == at(Q, [Q])
        second.finish(b"b")
        assert client.settle().sent == head(length=2) + b"ab"


def test_bytes_that_come_while_a_handler_waits_cost_one_change_of_interest_and_are_not_read() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        return Response(await pending if request.target == "/" else b"next")

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        bench.poller.calls.clear()
        following = GET.replace(b"/ ", b"/next ")
        assert client.send(following) == at(Q, [], interest=NOTHING)
        assert bench.poller.calls == [("modify", client.connection.descriptor, Interest.HALF_CLOSE)]
        pending.finish(b"hello")
        assert client.settle() == awaiting(
            [Q, O, A, *USUAL], HELLO + head(length=4) + b"next", "1-1 GET / 200", "1-2 GET /next 200"
        )


# --- walks


class Immediate(Pending):
    """An operation that has ended before it was started."""

    def start(self, executor: Any) -> None:
        super().start(executor)
        self.finish(b"at once")


def test_an_operation_that_ends_as_it_is_started_is_gone_on_with_when_the_walk_has_come_to_rest() -> None:
    """A machine is not run from within its own action, nor from within another's."""
    depth, deepest = 0, 0

    async def handler(request: Request) -> Response:
        return Response(b"".join([await Immediate() for _ in range(3)]))

    with bench_of(handler) as bench:
        engine = bench.service.engine
        walk = engine.fire

        def counted(machine: Any, trigger: Any) -> None:
            nonlocal depth, deepest
            depth += 1
            deepest = max(deepest, depth)
            walk(machine, trigger)
            depth -= 1

        engine.fire = counted
        whole = bench.connect().send(GET)
        assert whole.sent.endswith(b"at once" * 3)
        assert whole == awaiting([Q, Q, Q, Q, O, A], whole.sent, "1-1 GET / 200")
    assert deepest == 1


def test_an_end_that_was_told_after_the_walk_had_gone_on_already_resumes_nothing() -> None:
    operation, other = Pending(), Pending()

    async def handler(request: Request) -> Response:
        return Response(b"%b %b" % (await operation, await other))

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        operation.finish(b"one")
        bench.loop.tell(client.connection, T.BACKEND_ANSWERED)
        assert client.settle().state is Q
        other.finish(b"two")
        assert client.settle().sent.endswith(b"one two")
