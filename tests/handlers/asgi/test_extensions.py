"""What an application may send besides a start and bodies in bytes."""

from typing import Any

import pytest

from clerestory.handlers.api.messages import Request
from clerestory.handlers.asgi.errors import EventError
from clerestory.handlers.asgi.extensions import MAX_LINKS, MAX_TRAILERS, takes_trailers
from tests.handlers.asgi.bench import bench_of, give

TE = ((b"te", b"trailers"),)


@pytest.mark.parametrize(
    ("values", "minor", "takes"),
    [
        ([b"trailers"], 1, True),
        ([b"gzip;q=0.5, Trailers"], 1, True),
        ([b"gzip", b"trailers;q=1"], 1, True),
        ([b"trailers"], 0, False),
        ([b"no-trailers, gzip"], 1, False),
        ([], 1, False),
    ],
)
def test_a_client_takes_trailers_that_has_said_so(values: list[bytes], minor: int, takes: bool) -> None:
    request = Request("GET", "/", tuple((b"te", value) for value in values), minor=minor)
    assert takes_trailers(request) is takes


def answered(*events: Any, fields: Any = TE, method: str = "GET") -> Any:
    """The carrier of an answer of `events`, and what `send()` has raised."""
    raised: list[str] = []

    async def called(scope: Any, receive: Any, send: Any) -> None:
        for event in events:
            try:
                await send(event)
            except EventError as error:
                raised.append(str(error))

    with bench_of(called) as bench:
        carrier = bench.ask(method, fields=fields)
        bench.turn()
        while carrier.answer is not None and not carrier.ended and carrier.error is None:
            carrier.step()
    return carrier, raised


def started(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200, "headers": headers, "trailers": True}


def body(more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": b"body", "more_body": more}


def trailers(*headers: tuple[bytes, bytes], more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.trailers", "headers": headers, "more_trailers": more}


def test_trailers_go_behind_the_body_of_who_takes_them() -> None:
    carrier, raised = answered(started(), body(), trailers((b"X-One", b"1"), more=True), trailers((b"x-two", b"2")))
    assert raised == []
    assert b"".join(carrier.pieces) == b"body"
    assert carrier.answer.body.trailers() == ((b"x-one", b"1"), (b"x-two", b"2"))


@pytest.mark.parametrize(
    ("fields", "method", "headers"),
    [((), "GET", ()), (TE, "HEAD", ()), (TE, "GET", ((b"content-length", b"4"),))],
)
def test_elsewhere_they_are_dropped_and_the_answer_ends_with_its_body(fields: Any, method: str, headers: Any) -> None:
    carrier, raised = answered(started(*headers), body(), trailers((b"x-one", b"1")), fields=fields, method=method)
    assert (raised, carrier.ended) == ([], True)
    assert isinstance(carrier.answer.body, bytes)


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([started(), trailers((b"x", b"1"))], "behind the end of the body"),
        ([started(), body(more=True), trailers()], "behind the end of the body"),
        ([started(), body(), trailers(), trailers()], "come once"),
        ([started(), body(), body()], "behind the answer's end"),
        ([started() | {"trailers": False}, body(), trailers()], "not announced"),
        ([started(), body(), trailers((b"content-length", b"4"))], "content-length is no trailer"),
        ([started(), body(), trailers((b"set-cookie", b"a=b"))], "set-cookie is no trailer"),
        ([started(), body(), trailers((b"x", b"a\r\nb: c"))], "control character"),
        ([started(), body(), trailers((b"x", b"x" * (MAX_TRAILERS - 4)))], "bytes"),
    ],
)
def test_what_is_no_trailer_or_not_in_its_place_is_refused(events: list[Any], said: str) -> None:
    _, raised = answered(*events)
    assert len(raised) == 1
    assert said in raised[0]


def test_trailers_of_as_many_bytes_as_may_be_are_sent() -> None:
    carrier, raised = answered(started(), body(), trailers((b"x", b"x" * (MAX_TRAILERS - 5))))
    assert raised == []
    assert len(carrier.answer.body.trailers()) == 1


def hint(*links: Any) -> dict[str, Any]:
    return {"type": "http.response.early_hint", "links": list(links)}


def test_an_early_hint_is_an_interim_answer_with_its_links() -> None:
    carrier, raised = answered(hint(b"</a>; rel=preload", b"</b>"), hint(), started(), body())
    assert raised == []
    assert carrier.interims == [(103, "Early Hints", ((b"link", b"</a>; rel=preload"), (b"link", b"</b>")))]


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([started(), hint(b"</a>"), body()], "before http.response.start"),
        ([hint(b"</a>\r\nx: y"), started(), body()], "control characters"),
        ([hint("</a>"), started(), body()], "bytes"),
        ([hint(*[b"</a>"] * (MAX_LINKS + 1)), started(), body()], "at most"),
    ],
)
def test_a_hint_that_is_ill_formed_or_late_is_refused(events: list[Any], said: str) -> None:
    carrier, raised = answered(*events, fields=())
    assert (len(raised), carrier.interims) == (1, [])
    assert said in raised[0]


def test_an_event_that_is_not_known_is_refused() -> None:
    _, raised = answered({"type": "http.response.debug"})
    assert raised == ["'http.response.debug' is no event of an answer"]


def test_files_of_a_refused_event_are_closed() -> None:
    async def called(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(EventError):  # before the start
            await send({"type": "http.response.pathsend", "path": __file__})
        await send({"type": "http.response.start", "status": 200})
        await give(send, b"ok")

    with bench_of(called) as bench:
        carrier = bench.ask()
        assert carrier.answer is not None
        assert carrier.answer.body == b"ok"
