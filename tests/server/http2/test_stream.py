"""A stream carries an exchange as a connection of HTTP/1.1 does: bodies, streamed answers, refusals, ends."""

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from h2.errors import ErrorCodes

from clerestory.handlers.api.messages import File, Request, Response
from clerestory.handlers.api.operations import Executor, HalfClose
from clerestory.handlers.echo import echo
from clerestory.statemachines.h2_stream import State as S
from clerestory.statemachines.h2_stream import Trigger as T
from tests.server.http2.support import Peer, head, requests, speaking
from tests.server.support import Pending, temporary

pytestmark = pytest.mark.usefixtures("every_descriptor_back")

NO_ERROR, CANCEL = ErrorCodes.NO_ERROR, ErrorCodes.CANCEL


# --- bodies


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 500_000])
def test_a_body_goes_there_and_back(size: int) -> None:
    body = os.urandom(size)
    with speaking(echo, max_body=1_000_000) as bench:
        peer = Peer(bench)
        number = peer.begin(head(b"POST"), end=False)
        at = 0
        while at < size:
            room = min(peer.library.local_flow_control_window(number), 16_384, size - at)
            peer.data(number, body[at : at + room])
            at += room
        peer.data(number, b"", end=True)
        assert peer.answers[number].body == body


@pytest.mark.parametrize(("size", "status"), [(10, 200), (11, 413)])
def test_a_body_has_so_many_bytes_and_no_more(size: int, status: int) -> None:
    with speaking(echo, max_body=10) as bench:
        assert Peer(bench).ask(head(b"POST"), b"x" * size).status == status


@pytest.mark.parametrize(("size", "status"), [(10, 200), (11, 413)])
def test_and_is_refused_when_it_says_so(size: int, status: int) -> None:
    with speaking(echo, max_body=10) as bench:
        answer = Peer(bench).ask(head(b"POST", b"/", (b"content-length", b"%d" % size)), b"x" * size)
        assert answer.status == status


@pytest.mark.parametrize(("said", "sent"), [(b"3", b"ab"), (b"3", b"abcd"), (b"0", b"a"), (b"3", b"")])
def test_a_body_of_another_length_than_it_says_is_refused_and_no_other_stream_is(said: bytes, sent: bytes) -> None:
    with speaking(echo) as bench:
        peer = Peer(bench)
        other = peer.begin(head(b"POST"), end=False)
        number = peer.begin(head(b"POST", b"/", (b"content-length", said)), end=False)
        peer.library.streams[number]._expected_content_length = None
        peer.data(number, sent, end=True)
        answer = peer.answers[number]
        assert answer.status in ((200, 400) if said == b"0" else (400,))
        if said == b"0":
            assert answer.body == b""  # nobody has read a byte beyond it
        peer.data(other, b"whole", end=True)
        assert peer.answers[other].body == b"whole"


def test_a_body_may_have_trailers() -> None:
    with speaking(echo) as bench:
        peer = Peer(bench)
        number = peer.begin(head(b"POST"), end=False)
        peer.library.send_data(number, b"hello")
        peer.library.send_headers(number, [(b"x-sum", b"1")], end_stream=True)
        peer.flush()
        assert peer.answers[number].body == b"hello"


@pytest.mark.parametrize("field", [(b":path", b"/"), (b"content-length", b"1"), (b"x", b"a\r\nb")])
def test_trailers_that_are_none_are_refused(field: tuple[bytes, bytes]) -> None:
    with speaking(echo) as bench:
        peer = Peer(bench)
        number = peer.begin(head(b"POST"), end=False)
        peer.library.send_data(number, b"hello")
        peer.library.send_headers(number, [field], end_stream=True)
        peer.flush()
        assert peer.answers[number].status == 400


def test_100_is_said_when_the_body_is_wanted() -> None:
    with speaking(echo) as bench:
        peer = Peer(bench)
        number = peer.begin(head(b"POST", b"/", (b"expect", b"100-continue")), end=False)
        peer.flush()
        assert peer.answers[number].interim == [[(b":status", b"100")]]
        peer.data(number, b"hello", end=True)
        assert peer.answers[number].body == b"hello"


def test_who_needs_no_body_says_so() -> None:
    with speaking(lambda _: Response(b"no")) as bench:
        peer = Peer(bench)
        number = peer.begin(head(b"POST"), end=False)
        peer.data(number, b"begun")
        answer = peer.answers[number]
        assert (answer.body, answer.ended, answer.reset) == (b"no", True, NO_ERROR)
        assert requests(bench) == ["1/1 POST / 200"]


# --- responses


def test_a_streamed_answer_has_its_pieces_and_its_end() -> None:
    def pieces() -> Iterator[bytes]:
        yield from (b"a", b"", b"b" * 100_000, b"c")

    with speaking(lambda _: Response(pieces())) as bench:
        answer = Peer(bench).get()
        assert (answer.body, answer.ended) == (b"a" + b"b" * 100_000 + b"c", True)
        assert answer.get(b"transfer-encoding") is None


def test_one_that_waits_is_seen_to_produce() -> None:
    operation = Pending()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        await operation
        yield b"b"

    with speaking(lambda _: Response(pieces())) as bench:
        peer = Peer(bench)
        answer = peer.get()
        assert (answer.body, answer.ended) == (b"a", False)
        (stream,) = peer.streams.values()
        assert str(stream.state) == S.PRODUCING
        operation.finish()
        peer.flush()
        assert (answer.body, answer.ended) == (b"ab", True)


def test_trailers_go_behind_the_body() -> None:
    class Pieces:
        def __init__(self) -> None:
            self.left = [b"a", b"b"]

        def __iter__(self) -> "Pieces":
            return self

        def __next__(self) -> bytes:
            if not self.left:
                raise StopIteration
            return self.left.pop(0)

        def trailers(self) -> Any:
            return ((b"x-sum", b"2"),)

    with speaking(lambda _: Response(Pieces())) as bench:
        answer = Peer(bench).get()
        assert (answer.body, answer.trailers, answer.ended) == (b"ab", [(b"x-sum", b"2")], True)


@pytest.mark.parametrize("size", [0, 1, 8192, 200_000])
def test_a_file_is_sent_whole(size: int) -> None:
    data = os.urandom(size)
    with speaking(lambda _: Response(File(temporary(data), 0, size))) as bench:
        answer = Peer(bench).get()
        assert (answer.body, answer.get(b"content-length")) == (data, b"%d" % size)


def test_a_file_that_becomes_too_short_is_cut() -> None:
    file = File(temporary(bytes(200_000)), 0, 200_000)
    with speaking(lambda _: Response(file)) as bench:
        peer = Peer(bench, takes_all=False)
        number = peer.begin(head())
        peer.flush()
        os.ftruncate(file.descriptor, 100)
        peer.library.increment_flow_control_window(1 << 20)
        peer.library.increment_flow_control_window(1 << 20, number)
        peer.flush()
        answer = peer.answers[number]
        assert (answer.ended, answer.reset) == (False, ErrorCodes.INTERNAL_ERROR)


def test_head_has_a_length_and_no_body() -> None:
    with speaking(lambda _: Response(b"hello")) as bench:
        answer = Peer(bench).ask(head(b"HEAD"))
        assert (answer.get(b"content-length"), answer.body, answer.ended) == (b"5", b"", True)


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_ends_with_its_head(status: int) -> None:
    with speaking(lambda _: Response(b"", status)) as bench:
        answer = Peer(bench).get()
        assert (answer.status, answer.ended, answer.body) == (status, True, b"")


def test_what_is_about_a_connection_is_not_said() -> None:
    with speaking(lambda _: Response(b"", 200, ((b"connection", b"close"), (b"x", b"y")))) as bench:
        peer = Peer(bench)
        answer = peer.get()
        assert [name for name, _ in answer.headers] == [b":status", b"x", b"date", b"content-length"]
        assert peer.get().status == 200


def test_a_handler_that_raises_is_a_500_and_amid_its_answer_a_cut() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x" * 70_000
        raise RuntimeError

    def handler(request: Request) -> Response:
        if request.path == "/begun":
            return Response(pieces())
        raise RuntimeError

    with speaking(handler) as bench:
        peer = Peer(bench)
        assert peer.get().status == 500
        begun = peer.get(b"/begun")
        assert (begun.status, begun.ended, begun.reset) == (200, False, ErrorCodes.INTERNAL_ERROR)
        assert peer.get().status == 500


def test_a_head_that_is_none_is_answered_and_no_other_stream_is_harmed() -> None:
    with speaking(echo) as bench:
        peer = Peer(bench)
        answer = peer.ask([*head(), (b"Upper", b"case")])
        assert (answer.status, answer.ended) == (400, True)
        assert answer.body == b"400 Bad Request: A field name has an upper-case letter.\n"
        assert peer.get().status == 200
        assert requests(bench) == ["1/1 - - 400 client in SENDING_RESPONSE", "1/3 GET / 200"]


# --- deadlines


def test_a_handler_has_so_long() -> None:
    operation = Pending()

    async def handler(request: Request) -> Response:
        await operation
        return Response(b"")

    with speaking(handler, backend_timeout=5.0) as bench:
        peer = Peer(bench)
        number = peer.begin(head())
        peer.flush()
        bench.after(4)
        assert not operation.cancelled
        bench.after(1)
        peer.flush()
        assert (peer.answers[number].status, operation.cancelled) == (504, 1)
        assert requests(bench) == ["1/1 GET / 504 deadline in SENDING_RESPONSE"]


async def count(request: Request) -> Response:
    return Response(b"%d" % len(await request.read()))


def test_a_body_has_so_long() -> None:
    with speaking(count, body_timeout=5.0, body_min_rate=0) as bench:
        peer = Peer(bench)
        number = peer.begin(head(b"POST"), end=False)
        peer.flush()
        bench.after(4)
        peer.data(number, b"x")
        bench.after(4)
        assert str(peer.streams[number].state) == S.READING_BODY
        bench.after(1)
        peer.flush()
        answer = peer.answers[number]
        assert (answer.status, answer.reset) == (408, NO_ERROR)


def test_a_body_that_trickles_in_is_too_slow() -> None:
    with speaking(count) as bench:
        peer = Peer(bench)
        number = peer.begin(head(b"POST"), end=False)
        peer.flush()
        seconds = 0
        while number in peer.streams and seconds < 60:
            peer.data(number, b"x")
            bench.after(1)
            seconds += 1
        peer.flush()
        assert (peer.answers[number].status, seconds) == (408, 6)


def test_a_window_that_is_not_opened_is_waited_for_so_long() -> None:
    with speaking(lambda _: Response(bytes(100_000)), send_timeout=5.0) as bench:
        peer = Peer(bench, takes_all=False)
        number = peer.begin(head())
        peer.flush()
        assert str(peer.streams[number].state) == S.AWAITING_WINDOW
        bench.after(4)
        assert number in peer.streams
        bench.after(1)
        peer.flush()
        assert (peer.answers[number].ended, peer.answers[number].reset) == (False, CANCEL)
        assert requests(bench) == ["1/1 GET / 200 deadline in AWAITING_WINDOW"]


def test_one_that_is_opened_by_a_byte_now_and_then_is_too_slow() -> None:
    with speaking(lambda _: Response(bytes(66_000)), keep_alive_timeout=600.0) as bench:
        peer = Peer(bench, takes_all=False)
        number = peer.begin(head())
        peer.flush()
        seconds = 0
        while number in peer.streams and seconds < 600:
            peer.library.increment_flow_control_window(1)
            peer.library.increment_flow_control_window(1, number)
            peer.flush()
            bench.after(1)
            seconds += 1
        assert 200 < seconds < 400  # 65,535 bytes at 240 a second are 273


def test_an_operation_may_keep_time_itself() -> None:
    class Timed(Pending):
        def keeps_time(self) -> bool:
            return True

    operation = Timed()

    async def handler(request: Request) -> Response:
        await operation
        return Response(b"")

    with speaking(handler, backend_timeout=5.0) as bench:
        peer = Peer(bench)
        number = peer.begin(head())
        peer.flush()
        bench.after(50)
        assert str(peer.streams[number].state) == S.QUERYING_BACKEND
        operation.finish()
        peer.flush()
        assert peer.answers[number].status == 200


# --- the end


def test_a_client_may_not_want_it_any_more() -> None:
    operation = Pending()

    async def handler(request: Request) -> Response:
        await operation
        return Response(b"")

    with speaking(handler) as bench:
        peer = Peer(bench)
        number = peer.begin(head())
        peer.flush()
        peer.library.reset_stream(number, CANCEL)
        peer.flush()
        assert operation.cancelled == 1
        assert peer.streams == {}
        assert requests(bench) == ["1/1 GET / - client in QUERYING_BACKEND"]
        assert str(peer.machine.state) != "CLOSED"


def test_one_that_does_so_at_once_has_no_handler_harmed() -> None:
    with speaking(echo) as bench:
        peer = Peer(bench)
        number = peer.begin(head(b"POST", b"/", (b"expect", b"100-continue")), end=False)
        peer.library.reset_stream(number, CANCEL)
        peer.flush()
        assert peer.streams == {}
        assert peer.get().status == 200


def test_an_operator_may_close_one_alone() -> None:
    operation = Pending()

    async def handler(request: Request) -> Response:
        await operation
        return Response(b"")

    with speaking(handler) as bench:
        peer = Peer(bench)
        number = peer.begin(head())
        peer.flush()
        bench.loop.tell(peer.streams[number], T.CLOSE_ORDERED)
        peer.flush()
        assert peer.answers[number].reset == CANCEL
        assert operation.cancelled == 1


def test_the_request_s_body_is_fed_while_the_response_waits_for_the_window() -> None:
    given: list[bytes] = []

    class Feed:
        wants = True
        has_stopped = False

        def give(self, piece: bytes, *, last: bool) -> None:
            given.append(piece)

    class Relaying(Pending):
        def start(self, executor: Executor) -> None:
            super().start(executor)
            executor.feed_from_body(Feed())  # type: ignore[attr-defined]

        def client_closed(self) -> HalfClose:
            return HalfClose.ANSWER

    operation = Relaying()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"x" * 70_000
        await operation

    async def handler(request: Request) -> Response:
        other = Relaying()
        other.start = lambda executor: executor.feed_from_body(Feed()) or Pending.start(other, executor)  # type: ignore[attr-defined,func-returns-value,method-assign]
        started.append(other)
        await other
        return Response(pieces())

    started: list[Relaying] = []
    with speaking(handler) as bench:
        peer = Peer(bench, takes_all=False)
        number = peer.begin(head(b"POST"), end=False)
        peer.flush()
        assert str(peer.streams[number].state) == S.READING_BODY
        peer.data(number, b"one")
        assert given == [b"one"]
        started[0].finish()
        peer.flush()
        assert str(peer.streams[number].state) == S.EXCHANGING
        peer.data(number, b"two")
        assert given == [b"one", b"two"]


def test_it_tells_what_it_does() -> None:
    operation = Pending()

    async def handler(request: Request) -> Response:
        await operation
        return Response(b"")

    with speaking(handler) as bench:
        peer = Peer(bench)
        number = peer.begin(head(b"GET", b"/a"))
        peer.flush()
        stream = peer.streams[number]
        facts = stream.facts()
        assert facts[:2] == ("1/1", "client")
        assert facts[6].target == "/a"
        assert facts[7] is operation
        assert stream.excerpts() == (b"GET /a HTTP/2", b"")
        assert stream.ends() == ("client", "")
        assert len(stream.times()) == len(bench.service.unspent)
