"""One exchange: what handlers, operations and bodies do, rightly and wrongly, and what becomes of the connection."""

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any

import pytest

from handlers.echo import echo
from handlers.errors import HTTPError
from handlers.messages import File, Piece, Request, Response
from handlers.operations import NEXT_PIECE
from server.exchange import GATHERED
from server.sender import PIECES
from statemachines.connection import State as S
from tests.server.support import (
    GET,
    HELLO,
    NOTHING,
    USUAL,
    A,
    B,
    Body,
    C,
    L,
    O,
    Pending,
    Q,
    at,
    awaiting,
    bench_of,
    closed,
    error,
    head,
    post,
    stuck,
    temporary,
)

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


# --- streamed answers


def test_a_streamed_answer_goes_out_in_chunks_and_small_pieces_share_one() -> None:
    with bench_of(lambda _: Response(iter([b"one", b"two", b"three"]))) as bench:
        whole = bench.connect().send(GET)
        assert whole.sent == head(chunked=True) + b"b\r\nonetwothree\r\n0\r\n\r\n"
        assert whole == awaiting([Q, O, Q, O, A], whole.sent, "1-1 GET / 200")


def test_a_streamed_answer_to_http_1_0_is_ended_by_the_close() -> None:
    with bench_of(lambda _: Response(iter([b"one", b"two"]))) as bench:
        whole = bench.connect().send(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        assert whole == at(L, [Q, O, Q, O, L], head(close=True) + b"onetwo", "1-1 GET / 200")


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
    return [Q, O] * pieces + [A]


def test_an_asynchronous_body_is_stepped_like_a_handler() -> None:
    pending = Pending()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield await pending
        yield b"three"

    with bench_of(lambda _: Response(pieces())) as bench:
        client = bench.connect()
        assert client.send(GET) == at(Q, [Q, O, Q], head(chunked=True) + b"3\r\none\r\n")
        pending.finish(b"two")
        assert client.settle() == awaiting(
            [Q, O, Q, O, Q, O, A], b"3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n", "1-1 GET / 200"
        )


def test_an_echo_sends_what_has_come_while_the_rest_is_still_to_come() -> None:
    with bench_of(echo) as bench:
        client = bench.connect()
        request = post(b"abcdef")
        assert client.send(request[:-3]).sent.endswith(b"\r\n\r\nabc")
        assert client.send(b"def") == awaiting([Q, O, Q, O, A], b"def", "1-1 POST / 200")


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
            [C], b"", "ended: client QUERYING_BACKEND PEER_RESET", "1-1 GET / 200 client in QUERYING_BACKEND"
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
        bench.after(29.75)
        assert client.whole() == at(Q, [])
        bench.after(0.25)
        late = error(504, "Gateway Timeout", "What was asked to answer this did not answer in time.")
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
        bench.after(30)
        assert client.whole() == closed(
            [C],
            b"",
            "ended: deadline QUERYING_BACKEND DEADLINE_PASSED",
            "1-1 GET / 200 deadline in QUERYING_BACKEND",
        )
        assert client.transport.done == ["reset", "close"]


def test_each_operation_has_the_whole_deadline_to_itself() -> None:
    first, second = Pending(), Pending()

    async def handler(request: Request) -> Response:
        return Response(await first + await second)

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        bench.after(29)
        first.finish(b"a")
        bench.after(29)
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
        assert bench.poller.calls == [("modify", client.connection.descriptor, 0)]
        pending.finish(b"hello")
        assert client.settle() == awaiting(
            [Q, O, A, *USUAL], HELLO + head(length=4) + b"next", "1-1 GET / 200", "1-2 GET /next 200"
        )


# --- what handlers and applications do wrong


INTERNAL = error(500, "Internal Server Error", close=False)
FAULTS = [ValueError("secret"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), StopIteration(), MemoryError()]


def raising(fault: BaseException) -> Callable[[], Any]:
    def handler(*_: Any) -> Any:
        raise fault

    return handler


@pytest.mark.parametrize("fault", [*FAULTS, StopAsyncIteration(), RecursionError()], ids=repr)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_whatever_a_handler_raises_is_a_500_and_one_line(fault: BaseException, asynchronous: bool) -> None:
    def plain(request: Request) -> Response:
        raise fault

    async def coroutine(request: Request) -> Response:
        raise fault

    with bench_of(coroutine if asynchronous else plain) as bench:
        client = bench.connect()
        raised = "RuntimeError" if asynchronous and isinstance(fault, StopIteration) else type(fault).__name__
        assert client.send(GET) == awaiting(USUAL, INTERNAL, f"failed: {raised}", "1-1 GET / 500")
        assert client.send(GET).state is A


def test_an_http_error_is_an_answer_and_not_logged_as_a_fault() -> None:
    def handler(request: Request) -> Response:
        raise HTTPError(401, "Who?", ((b"www-authenticate", b"Basic"),))

    with bench_of(handler) as bench:
        whole = bench.connect().send(GET)
        assert whole.logged == ["1-1 GET / 401"]
        assert b"www-authenticate: Basic\r\n" in whole.sent


@pytest.mark.parametrize(
    "wrong",
    [
        HTTPError(99),
        HTTPError(404, "no \udcff"),
        HTTPError(401, "", [(b"www-authenticate", b"Basic")]),  # type: ignore[arg-type]
        HTTPError(401, "", ((b"a\r\n", b""),)),
        HTTPError("404"),  # type: ignore[arg-type]
        HTTPError([]),  # type: ignore[arg-type]
    ],
    ids=str,
)
def test_an_http_error_that_can_not_be_sent_is_a_500(wrong: HTTPError) -> None:
    def handler(request: Request) -> Response:
        raise wrong

    with bench_of(handler) as bench:
        whole = bench.connect().send(GET)
        assert whole.state is A
        assert whole.sent == INTERNAL
        assert [line.split()[0] for line in whole.logged] == ["failed:", "1-1"]


@pytest.mark.parametrize("detail", [b"bytes", object(), {1, 2}])
def test_an_http_error_whose_detail_json_can_not_hold_is_answered_all_the_same(detail: Any) -> None:
    def handler(request: Request) -> Response:
        raise HTTPError(400, detail)

    with bench_of(handler) as bench:
        whole = bench.connect().send(GET.replace(b"\r\n\r\n", b"\r\naccept: application/json\r\n\r\n"))
        assert whole.state is A
        assert whole.sent[:10] == b"HTTP/1.1 5"


class Odd:
    """An object that is nothing a handler should hand back."""

    def __getattr__(self, name: str) -> Any:
        raise LookupError(name)


async def _generator() -> AsyncIterator[bytes]:
    yield b"x"


def _steps() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: None,
        lambda: "text",
        lambda: b"bytes",
        lambda: 5,
        _steps,
        _generator,
        Odd,
        lambda: Response,
    ],
)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_whatever_else_a_handler_hands_back_is_a_500(wrong: Callable[[], Any], asynchronous: bool) -> None:
    made = wrong()

    def plain(request: Request) -> Any:
        return made

    async def coroutine(request: Request) -> Any:
        return made

    with bench_of(coroutine if asynchronous else plain) as bench:
        whole = bench.connect().send(GET)
        assert (whole.state, whole.sent) == (A, INTERNAL)
        assert [line.split()[0] for line in whole.logged] == ["failed:", "1-1"]


def test_a_handler_that_awaits_a_piece_beyond_the_bodys_end_gets_none_and_is_not_made_to_wait() -> None:
    async def handler(request: Request) -> Response:
        return Response(b"|".join([await NEXT_PIECE for _ in range(3)]))

    with bench_of(handler) as bench:
        assert bench.connect().send(post(b"abc")) == awaiting(
            [Q, B, Q, O, A], head(length=5) + b"abc||", "1-1 POST / 200"
        )


@pytest.mark.parametrize("awaited", [5, None, b"", Response(b"")], ids=repr)
def test_a_handler_that_awaits_something_else_than_an_operation_is_told_so(awaited: Any) -> None:
    class Awaitable:
        def __await__(self) -> Generator[Any, Any, Any]:
            yield awaited

    async def handler(request: Request) -> Response:
        await Awaitable()
        raise AssertionError

    with bench_of(handler) as bench:
        assert bench.connect().send(GET) == awaiting(USUAL, INTERNAL, "failed: TypeError", "1-1 GET / 500")


def test_a_handler_may_recover_from_having_awaited_something_else() -> None:
    class Awaitable:
        def __await__(self) -> Generator[Any, Any, Any]:
            yield 5

    async def handler(request: Request) -> Response:
        try:
            await Awaitable()
        except TypeError as mistake:
            return Response(str(mistake).encode())
        raise AssertionError

    with bench_of(handler) as bench:
        assert bench.connect().send(GET).sent.endswith(b"a handler awaits operations, not int")


@pytest.mark.parametrize(
    "response",
    [
        Response(None),  # type: ignore[arg-type]
        Response(5),  # type: ignore[arg-type]
        Response("text"),  # type: ignore[arg-type]
        Response(["text"]),  # type: ignore[list-item]
        Response([5]),  # type: ignore[list-item]
        Response([None, b"more"]),  # type: ignore[list-item]
        Response(bytearray(b"abc")),  # type: ignore[arg-type]
        Response(b"", 99),
        Response(b"", 101),
        Response(b"", 600),
        Response(b"", "200"),  # type: ignore[arg-type]
        Response(b"", None),  # type: ignore[arg-type]
        Response(b"", 200.0),  # type: ignore[arg-type]
        Response(b"", reason="a\r\nb"),
        Response(b"", reason="é"),
        Response(b"", reason=b"OK"),  # type: ignore[arg-type]
        Response(b"", reason=5),  # type: ignore[arg-type]
        Response(b"", fields=None),  # type: ignore[arg-type]
        Response(b"", fields=5),  # type: ignore[arg-type]
        Response(b"", fields="ab"),  # type: ignore[arg-type]
        Response(b"", fields=((b"a",),)),  # type: ignore[arg-type]
        Response(b"", fields=(b"ab",)),  # type: ignore[arg-type]
        Response(b"", fields=(5,)),  # type: ignore[arg-type]
        Response(b"", fields=((b"a", b"b", b"c"),)),  # type: ignore[arg-type]
        Response(b"", fields=[(b"a", b"b")]),  # type: ignore[arg-type]
        Response(b"", fields=((b"a", "b"),)),  # type: ignore[arg-type]
        Response(b"", fields=(("a", b"b"),)),  # type: ignore[arg-type]
        Response(b"", fields=((None, None),)),  # type: ignore[arg-type]
        Response(b"", fields=((b"a", b"b\r\nc: d"),)),
        Response(b"", fields=((b"a b", b"c"),)),
        Response(b"abc", fields=((b"content-length", b"4"),)),
        Response([], fields=((b"content-length", b"4"),)),
        Response([b"abc"], fields=((b"content-length", b"2"),)),
        Response(b"", fields=((b"transfer-encoding", b"chunked"),)),
        Response(File(-1, 0, -1, owned=False)),
        Response([File(-1, 0, -1, owned=False)]),
    ],
    ids=lambda response: f"{response.status}-{response.reason}-{response.fields}-{response.body}"[:60],
)
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_a_response_that_can_not_be_sent_is_a_500(response: Response, method: bytes) -> None:
    with bench_of(lambda _: response) as bench:
        whole = bench.connect().send(GET.replace(b"GET", method))
        if method == b"HEAD" and not isinstance(response.body, bytes | File):
            # A body that is not asked for is not looked at.
            assert whole.sent.startswith(b"HTTP/1.1 200")
            return
        assert whole.state is A
        assert whole.sent == (INTERNAL if method == b"GET" else INTERNAL[: INTERNAL.index(b"\r\n\r\n") + 4])
        assert [line.split()[0] for line in whole.logged] == ["failed:", "1-1"]


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_a_body_that_raises_before_its_first_piece_is_a_500(fault: BaseException) -> None:
    body = Body([fault])
    with bench_of(lambda _: Response(body)) as bench:
        whole = bench.connect().send(GET)
        raised = "RuntimeError" if isinstance(fault, StopIteration) else type(fault).__name__
        assert whole == awaiting(USUAL, INTERNAL, f"failed: {raised}", "1-1 GET / 500")
    assert body.closed == 1


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_a_body_that_raises_after_its_first_piece_is_cut(fault: BaseException) -> None:
    body = Body([b"x" * 100_000, fault])
    with bench_of(lambda _: Response(body)) as bench:
        client = bench.connect()
        client.far.sendall(GET)
        client.read_all()
        assert client.connection.state is C
        assert client.transport.done == ["reset", "close"]
        raised = "RuntimeError" if isinstance(fault, StopIteration) else type(fault).__name__
        assert bench.logs.take() == [
            f"failed: {raised}",
            "ended: server QUERYING_BACKEND RESPONSE_BROKEN",
            "1-1 GET / 200 server in QUERYING_BACKEND",
        ]
    assert body.closed == 1


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_body_longer_than_it_promised_is_cut_at_its_promise(asynchronous: bool) -> None:
    async def later() -> AsyncIterator[bytes]:
        yield b"abc"
        yield b"d"

    body: Any = later() if asynchronous else [b"abc", File(temporary(b"d"), 0, 1)]
    with bench_of(lambda _: Response(body, fields=((b"content-length", b"3"),))) as bench:
        client = bench.connect()
        whole = client.send(GET)
        assert whole.state is C
        assert whole.sent.endswith(b"\r\n\r\nabc")
        assert client.transport.done == ["reset", "close"]
        assert whole.logged[0] == "failed: ResponseError"


def test_a_body_shorter_than_it_promised_is_cut() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"

    with bench_of(lambda _: Response(pieces(), fields=((b"content-length", b"4"),))) as bench:
        client = bench.connect()
        whole = client.send(GET)
        assert whole.state is C
        assert client.transport.done == ["reset", "close"]
        assert whole.logged[0] == "failed: ResponseError"


@pytest.mark.parametrize("wrong", [None, "text", 5, [b""]], ids=repr)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_piece_of_another_kind_breaks_the_answer_and_is_not_taken_for_its_end(wrong: Any, asynchronous: bool) -> None:
    async def later() -> AsyncIterator[Any]:
        yield b"x" * 100_000
        yield wrong
        yield b"y"

    body = later() if asynchronous else [b"x" * 100_000, wrong, b"y"]
    with bench_of(lambda _: Response(body)) as bench:
        client = bench.connect()
        client.far.sendall(GET)
        got = client.read_all()
        assert not got.endswith(b"0\r\n\r\n")
        assert client.connection.state is C
        assert bench.logs.take()[0] == "failed: TypeError"


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("status", [200, 204, 99])
def test_a_close_that_raises_is_one_line_and_the_answer_goes_out(
    fault: BaseException, method: bytes, status: int
) -> None:
    body = Body([b"hello"], fault)
    with bench_of(lambda _: Response(body, status)) as bench:
        whole = bench.connect().send(GET.replace(b"GET", method))
        assert whole.state is A
        assert whole.sent.startswith(b"HTTP/1.1 %d" % (500 if status == 99 else status))
        assert f"failed: {type(fault).__name__}" in whole.logged
        if status == 200 and method == b"GET":
            assert whole.sent.endswith(b"0\r\n\r\n")
    assert body.closed == 1


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_a_close_that_raises_when_the_client_leaves_is_one_line(fault: BaseException) -> None:
    body = Body([b"x" * 1_000_000], fault)
    with bench_of(lambda _: Response(body)) as bench:
        client = stuck(bench)
        client.far.close()
        bench.settle()
        assert client.connection.state is C
        assert f"failed: {type(fault).__name__}" in bench.logs.take()


def test_a_body_whose_iter_raises_is_a_500() -> None:
    class Broken:
        def __iter__(self) -> Iterator[bytes]:
            raise SystemExit(3)

    with bench_of(lambda _: Response(Broken())) as bench:
        assert bench.connect().send(GET) == awaiting(USUAL, INTERNAL, "failed: SystemExit", "1-1 GET / 500")


def test_a_body_whose_iterator_is_of_the_old_kind_is_taken_for_one() -> None:
    class Old:
        def __init__(self) -> None:
            self.left = [b"two", b"one"]

        def __next__(self) -> bytes:
            if not self.left:
                raise StopIteration
            return self.left.pop()

    class Broken:
        def __iter__(self) -> Any:
            return Old()

    with bench_of(lambda _: Response(Broken())) as bench:
        assert bench.connect().send(GET).sent == head(chunked=True) + b"6\r\nonetwo\r\n0\r\n\r\n"


class Asynchronous:
    """An async iterable body whose `__anext__` does as it is told."""

    def __init__(self, step: Callable[[], Any]) -> None:
        self.step = step

    def __aiter__(self) -> "Asynchronous":
        return self

    def __anext__(self) -> Any:
        return self.step()


@pytest.mark.parametrize("fault", [*FAULTS, LookupError()], ids=repr)
def test_an_anext_that_raises_at_once_is_a_500(fault: BaseException) -> None:
    with bench_of(lambda _: Response(Asynchronous(raising(fault)))) as bench:
        whole = bench.connect().send(GET)
        assert (whole.state, whole.sent) == (A, INTERNAL)


@pytest.mark.parametrize("wrong", [None, 5, b"piece"], ids=repr)
def test_an_anext_that_hands_back_nothing_to_await_is_a_500(wrong: Any) -> None:
    with bench_of(lambda _: Response(Asynchronous(lambda: wrong))) as bench:
        whole = bench.connect().send(GET)
        assert (whole.state, whole.sent) == (A, INTERNAL)


def test_an_aiter_that_gives_no_asynchronous_iterator_is_a_500() -> None:
    class Broken:
        def __aiter__(self) -> Any:
            return 5

    with bench_of(lambda _: Response(Broken())) as bench:
        whole = bench.connect().send(GET)
        assert (whole.state, whole.sent) == (A, INTERNAL)


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_whatever_an_operations_beginning_raises_reaches_the_handler(fault: BaseException) -> None:
    async def handler(request: Request) -> Response:
        await Pending(refuses=fault)
        raise AssertionError

    with bench_of(handler) as bench:
        whole = bench.connect().send(GET)
        assert (whole.state, whole.sent) == (A, INTERNAL)


def test_an_operation_that_ends_with_no_exception_for_an_error_is_a_500() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        await pending
        raise AssertionError

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        pending.finish(error="no exception")  # type: ignore[arg-type]
        whole = client.settle()
        assert (whole.state, whole.sent) == (A, INTERNAL)


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_a_cancel_that_raises_is_one_line(fault: BaseException) -> None:
    pending = Pending()
    pending.cancel = raising(fault)  # type: ignore[method-assign]

    async def handler(request: Request) -> Response:
        await pending
        raise AssertionError

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        assert client.leave().logged == [
            "ended: client QUERYING_BACKEND PEER_RESET",
            f"failed: {type(fault).__name__}",
            "1-1 GET / - client in QUERYING_BACKEND",
        ]


def test_a_coroutine_that_awaits_in_its_finally_when_given_up_is_told_of_once() -> None:
    cleaning = Pending()

    async def handler(request: Request) -> Response:
        try:
            return Response(await Pending())
        finally:
            await cleaning

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        assert client.leave().logged == [
            "ended: client QUERYING_BACKEND PEER_RESET",
            "failed: RuntimeError",
            "1-1 GET / - client in QUERYING_BACKEND",
        ]
    assert cleaning.executor is None


def test_a_coroutine_that_swallows_its_being_given_up_answers_nobody() -> None:
    async def handler(request: Request) -> Response:
        try:
            return Response(await Pending())
        except GeneratorExit:
            return Response(b"too late")

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        bench.after(30)
        whole = client.whole()
        assert whole.sent.startswith(b"HTTP/1.1 504")
        assert whole.logged == ["1-1 GET / 504 deadline in QUERYING_BACKEND"]


def test_a_coroutine_that_raises_when_given_up_is_told_of_and_its_client_answered() -> None:
    async def handler(request: Request) -> Response:
        try:
            return Response(await Pending())
        finally:
            raise SystemExit(3)

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        bench.after(30)
        whole = client.whole()
        assert whole.sent.startswith(b"HTTP/1.1 504")
        assert whole.logged == ["failed: SystemExit", "1-1 GET / 504 deadline in QUERYING_BACKEND"]


def test_an_operation_that_ends_before_it_has_begun_is_a_mistake_that_harms_nobody() -> None:
    class Hasty(Pending):
        def start(self, executor: Any) -> None:
            executor.finished(self, b"hello")

    async def handler(request: Request) -> Response:
        return Response(await Hasty())

    with bench_of(handler) as bench:
        assert bench.connect().send(GET) == awaiting([Q, Q, O, A], HELLO, "1-1 GET / 200")
