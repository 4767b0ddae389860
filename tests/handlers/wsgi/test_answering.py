"""The connection's side: when a thread is taken, what an exchange is handed, and how it is described."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from clerestory.handlers.wsgi.application import SMALL_BODY
from tests.handlers.running import PATIENCE
from tests.handlers.wsgi.bench import bench_of


def read(environ: Any, start: Any) -> Any:
    start("200 OK", [])
    return [b"%d" % len(environ["wsgi.input"].read())]


def test_a_small_body_is_read_before_a_thread_is_taken() -> None:
    with bench_of(read) as bench:
        carrier = bench.ask("POST", 4)
        assert (carrier.reading, bench.hosting.runs) == (True, set())
        carrier.give(b"ab", last=False)
        assert (carrier.reading, bench.hosting.runs) == (True, set())
        carrier.give(b"cd", last=True)
        assert carrier.whole() == b"4"
        bench.rest()


@pytest.mark.parametrize(
    "about", [{"length": 4, "expects_continue": True}, {"length": SMALL_BODY + 1}, {"length": None}]
)
def test_a_thread_asks_for_any_other(about: dict[str, Any]) -> None:
    with bench_of(read) as bench:
        carrier = bench.ask("POST", **about)
        assert len(bench.hosting.runs) == 1
        bench.until(lambda: carrier.reading)
        carrier.give(b"abcd", last=True)
        assert carrier.whole() == b"4"
        bench.rest()


@pytest.mark.parametrize(
    ("method", "status", "headers", "pieces", "fields", "body"),
    [
        ("GET", "200 OK", [], [b"a", b"b"], (), b"ab"),
        ("GET", "200 OK", [("Content-Length", "2")], [b"ab"], (), b"ab"),
        ("GET", "200 OK", [("Content-Length", "1")], [b"ab"], (), b"a"),
        ("GET", "200 OK", [("Content-Length", "3")], [b"ab"], ((b"content-length", b"3"),), b"ab"),
        ("GET", "204 No Content", [("Content-Length", "0")], [], (), b""),
        ("GET", "304 Not Modified", [("Content-Length", "9")], [], ((b"content-length", b"9"),), b""),
        ("HEAD", "200 OK", [("Content-Length", "9")], [b"x"], ((b"content-length", b"9"),), b""),
        ("HEAD", "200 OK", [], [b"four"], ((b"content-length", b"4"),), b""),
    ],
)
def test_an_answer_has_one_length(
    method: str, status: str, headers: Any, pieces: list[bytes], fields: Any, body: bytes
) -> None:
    """A promise that is kept is ours to write; one that is not stays, so that the answer is cut."""

    def called(environ: Any, start: Any) -> Any:
        start(status, headers)
        return pieces

    with bench_of(called) as bench:
        carrier = bench.ask(method)
        assert carrier.whole() == body
        assert carrier.answer is not None
        assert (carrier.answer.status, carrier.answer.fields) == (int(status[:3]), fields)
        bench.rest()


def test_an_exception_that_means_something_to_an_exchange_is_wrapped() -> None:
    """StopAsyncIteration would be taken for the end of the answer."""

    def called(environ: Any, start: Any) -> Any:
        raise StopAsyncIteration

    with bench_of(called) as bench:
        carrier = bench.ask()
        bench.rest()
        assert isinstance(carrier.error, RuntimeError)


def test_where_the_thread_stands_is_described() -> None:
    go, begun = threading.Event(), threading.Event()

    def wait_here() -> None:
        begun.set()
        assert go.wait(PATIENCE)

    def called(environ: Any, start: Any) -> Iterator[bytes]:
        start("200 OK", [])
        wait_here()
        yield b"x"

    with bench_of(called, threads=1) as bench:
        first, second = bench.ask(), bench.ask()
        assert begun.wait(PATIENCE)
        assert first.steps.describe().startswith("application RUNNING 0.0 s at wsgi/test_answering.py:")
        assert first.steps.describe().endswith(" wait_here")
        assert second.steps.describe() == "application QUEUED 0.0 s <- 1 thread, 1 waiting"
        go.set()
        assert first.whole() == second.whole() == b"x"
        bench.rest()
