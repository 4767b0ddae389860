"""The connection's side: what an exchange is handed of an application's answer, and how it is described."""

import asyncio
import threading
from typing import Any

import pytest

from tests.handlers.asgi.bench import bench_of, give, start
from tests.support.waiting import eventually


@pytest.mark.parametrize(
    ("method", "status", "length", "pieces", "fields", "body"),
    [
        ("GET", 200, None, [b"a", b"b"], (), b"ab"),
        ("GET", 200, b"2", [b"ab"], (), b"ab"),
        ("GET", 200, b"1", [b"ab"], (), b"a"),
        ("GET", 200, b"3", [b"ab"], ((b"content-length", b"3"),), b"ab"),
        ("GET", 204, b"0", [b""], (), b""),
        ("GET", 205, b"9", [b"too much!"], (), b""),
        ("GET", 304, b"9", [b""], ((b"content-length", b"9"),), b""),
        ("HEAD", 200, b"9", [b""], ((b"content-length", b"9"),), b""),
        ("HEAD", 200, None, [b"four"], (), b"\0\0\0\0"),
    ],
)
def test_an_answer_has_one_length(
    method: str, status: int, length: bytes | None, pieces: list[bytes], fields: Any, body: bytes
) -> None:
    """A promise that is kept is ours to write; one that is not stays, so that the answer is refused."""

    async def called(scope: Any, receive: Any, send: Any) -> None:
        await start(send, status, *([(b"content-length", length)] if length else []))
        for piece in pieces[:-1]:
            await give(send, piece, more=True)
        await give(send, pieces[-1])

    with bench_of(called) as bench:
        carrier = bench.ask(method)
        assert carrier.answer is not None
        whole = carrier.answer.body if isinstance(carrier.answer.body, bytes) else b"".join(_drained(carrier))
        assert (carrier.answer.status, carrier.answer.fields, whole) == (status, fields, body)


def _drained(carrier: Any) -> list[bytes]:
    while not carrier.ended:
        carrier.step()
    pieces: list[bytes] = carrier.pieces
    return pieces


def test_an_exception_that_means_something_to_an_exchange_is_wrapped() -> None:
    """StopAsyncIteration would be taken for the end of the answer."""

    async def called(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        raise StopAsyncIteration

    with bench_of(called) as bench:
        carrier = bench.ask()
        bench.turn()
        assert isinstance(carrier.error, RuntimeError)


def test_it_says_where_the_application_waits_and_has_deadlines_of_its_own() -> None:
    async def called(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(60)

    with bench_of(called) as bench:
        carrier = bench.ask()
        said = carrier.steps.describe()
        assert said.startswith("application RUNNING 0.0 s at asgi/test_answering.py:")
        assert " called <- sleep, " in said
        assert carrier.steps.keeps_time()
        assert carrier.steps.timed_by() is bench.runs[0]
        assert [function for _, _, function in carrier.steps.stack()] == ["called", "sleep"]
        carrier.steps.cancel()
        bench.hosting.cancel_all()
        bench.turn()
        assert carrier.steps.describe() == "application DONE 0.0 s"
        assert carrier.steps.stack() == []


def test_an_application_that_waits_for_a_thread_is_described_by_the_line_in_the_thread() -> None:
    """No line of the application awaits it: the framework does."""
    anyio_threads = pytest.importorskip("anyio.to_thread")
    began, freed = threading.Event(), threading.Event()

    def block() -> None:
        began.set()
        freed.wait(20)

    def blocked() -> bool:
        bench.turn()
        return began.is_set()

    def ended() -> bool:
        bench.turn()
        return not bench.runs

    class Framework:
        def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
            return anyio_threads.run_sync(block)

    with bench_of(Framework()) as bench:
        try:
            carrier = bench.ask()
            eventually(blocked)
            said = carrier.steps.describe()
            assert " <- thread at asgi/test_answering.py:" in said
            assert "_asyncio.py" not in said
        finally:
            freed.set()
            carrier.steps.cancel()
            bench.hosting.cancel_all()
            eventually(ended)


def test_a_handler_that_is_given_up_leaves_the_run() -> None:
    async def called(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await receive()

    with bench_of(called) as bench:
        carrier = bench.ask()
        with pytest.raises(GeneratorExit):
            carrier.steps.throw(GeneratorExit())
        assert bench.states() == ["LEAVING"]
        bench.turn()
        assert bench.runs == []
