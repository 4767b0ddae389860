"""What handlers and applications do wrong: each is an answer or an end that says so."""

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import File, Request, Response
from clerestory.handlers.api.operations import NEXT_PIECE
from tests.server.support import (
    GET,
    HELLO,
    USUAL,
    A,
    B,
    Body,
    C,
    O,
    Pending,
    Q,
    awaiting,
    bench_of,
    error,
    head,
    post,
    stuck,
    temporary,
)

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


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
        lambda: ({}, 404),
        lambda: 5,
        lambda: {"not": object()},
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
            "ended: server PRODUCING RESPONSE_BROKEN",
            "1-1 GET / 200 server in PRODUCING",
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
        bench.after(75)
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
        bench.after(75)
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
