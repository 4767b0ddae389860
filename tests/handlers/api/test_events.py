"""Server-sent events: how they are written, what is sent while there are none, and how a stream ends."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from clerestory.handlers.api.events import COMMENT, Event, encoded, event_stream, last_event_id
from clerestory.handlers.api.messages import Request, Response
from clerestory.statemachines.connection import State as S
from tests.server.support import GET, Bench, Pending, bench_of

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


@pytest.mark.parametrize(
    ("item", "written"),
    [
        ("text", b"data: text\n\n"),
        ("", b"data: \n\n"),
        ("two\nlines\r\nand\rmore", b"data: two\ndata: lines\ndata: and\ndata: more\n\n"),
        ({"ä": 1}, 'data: {"ä": 1}\n\n'.encode()),
        (b"bytes", b"data: bytes\n\n"),
        (Event("x", event="tick", id="7", retry=1000), b"event: tick\nid: 7\nretry: 1000\ndata: x\n\n"),
        (Event([1]), b"data: [1]\n\n"),
    ],
)
def test_an_event_is_written_as_the_standard_says(item: object, written: bytes) -> None:
    assert encoded(item) == written


@pytest.mark.parametrize(
    "wrong",
    [Event("x", event="a\nb"), Event("x", id="a\rb"), Event("x", id="a\0b"), Event(float("nan")), Event(object())],
)
def test_what_would_be_another_event_is_refused(wrong: Event) -> None:
    with pytest.raises((ValueError, TypeError)):
        encoded(wrong)


def test_where_a_client_has_stopped_is_known() -> None:
    assert last_event_id(Request("GET", "/", ((b"last-event-id", "ä7".encode()),))) == "ä7"
    assert last_event_id(Request("GET", "/", ())) == ""


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        event_stream(source([], []), keep_alive=0)


async def source(operations: list[Pending], ended: list[str]) -> AsyncIterator[object]:
    try:
        for operation in operations:
            yield await operation
    finally:
        ended.append("ended")


class Listener:
    """A client of a stream: `sent` is all that has come so far."""

    def __init__(self, bench: Bench, request: bytes = GET) -> None:
        self.client = bench.connect()
        self._data = self.client.send(request).sent

    @property
    def sent(self) -> bytes:
        self._data += self.client.settle().sent
        return self._data

    @property
    def state(self) -> str:
        return self.client.connection.state


def body(sent: bytes) -> bytes:
    """What has been sent in chunks."""
    pieces, rest = b"", sent.partition(b"\r\n\r\n")[2]
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        pieces += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    return pieces


def stream_of(operations: list[Pending], ended: list[str]) -> Any:
    return lambda _: event_stream(source(operations, ended), keep_alive=10.0)


def test_a_stream_is_open_at_once_and_sends_events_as_they_come() -> None:
    operations, ended = [Pending(), Pending()], list[str]()
    with bench_of(stream_of(operations, ended)) as bench:
        client = Listener(bench)
        assert b"content-type: text/event-stream\r\n" in client.sent
        assert b"cache-control: no-cache\r\n" in client.sent
        assert body(client.sent) == COMMENT
        operations[0].finish("one")
        bench.settle()
        assert body(client.sent) == COMMENT + b"data: one\n\n"
        operations[1].finish({"two": 2})
        bench.settle()
        assert body(client.sent) == COMMENT + b'data: one\n\ndata: {"two": 2}\n\n'
        assert client.state is S.AWAITING_REQUEST
        assert ended == ["ended"]


def test_in_silence_comments_keep_it_open_for_longer_than_any_deadline_and_what_is_awaited_goes_on() -> None:
    operations = [Pending()]
    with bench_of(stream_of(operations, [])) as bench:
        client = Listener(bench)
        for passed in range(1, 21):
            bench.after(10.0)
            assert body(client.sent) == COMMENT * (1 + passed)
        assert client.state is S.PRODUCING
        assert operations[0].cancelled == 0
        operations[0].finish("at last")
        bench.settle()
        assert body(client.sent) == COMMENT * 21 + b"data: at last\n\n"


@pytest.mark.parametrize("passed", [0.0, 10.0])
def test_when_the_client_leaves_the_source_is_ended_and_what_it_awaits_cancelled(passed: float) -> None:
    operations, ended = [Pending()], list[str]()
    with bench_of(stream_of(operations, ended)) as bench:
        client = Listener(bench)
        bench.after(passed)
        client.client.far.close()
        bench.settle()
        bench.after(60.0)  # the half-close deadline, after which nothing is left of it
        assert operations[0].cancelled == 1
        assert ended == ["ended"]
        assert client.state is S.CLOSED


def test_an_error_of_what_is_awaited_is_the_sources() -> None:
    operation = Pending()

    async def events() -> AsyncIterator[str]:
        try:
            yield await operation
        except LookupError:
            yield "caught"

    with bench_of(lambda _: event_stream(events())) as bench:
        client = Listener(bench)
        operation.finish(error=LookupError())
        bench.settle()
        assert body(client.sent) == COMMENT + b"data: caught\n\n"


def test_a_source_that_fails_cuts_the_stream() -> None:
    async def events() -> AsyncIterator[str]:
        yield "one"
        raise KeyError("source")

    with bench_of(lambda _: event_stream(events())) as bench:
        client = Listener(bench)
        assert b"data: one\n\n" in client.sent
        assert not client.sent.endswith(b"0\r\n\r\n")
        assert client.state is S.CLOSED


def test_a_source_may_read_the_requests_body() -> None:
    def handler(request: Request) -> Response:
        async def events() -> AsyncIterator[bytes]:
            async for piece in request:
                yield piece

        return event_stream(events())

    with bench_of(handler) as bench:
        client = Listener(bench, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc")
        assert body(client.sent) == COMMENT + b"data: abc\n\n"


def test_what_is_no_operation_is_an_error_of_the_source() -> None:
    class Foreign:
        def __await__(self) -> Any:
            yield object()

    async def events() -> AsyncIterator[str]:
        try:
            await Foreign()
        except TypeError as error:
            yield str(error)

    with bench_of(lambda _: event_stream(events())) as bench:
        client = Listener(bench)
        assert body(client.sent) == COMMENT + b"data: events await operations, not object\n\n"
