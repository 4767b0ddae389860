"""The sending half: bytes and files go out whole and in order, however little the socket takes at a time."""

import errno
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clerestory.handlers.api.messages import File, Piece, Request, Response
from clerestory.handlers.echo import echo
from clerestory.server.connection.sender import PIECES, READ_SIZE
from clerestory.server.loop.loop import FEW
from tests.server.support import (
    EVERY_POLLER,
    GET,
    LAST,
    USUAL,
    A,
    C,
    O,
    P,
    Pending,
    Q,
    awaiting,
    bench_of,
    closed,
    error,
    file_handler,
    head,
    post,
    read_all,
    stuck,
    temporary,
)

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


# --- files


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 3 * 1024 * 1024])
@pytest.mark.parametrize("without_sendfile", [False, True])
def test_a_file_is_sent_whole_and_closed(size: int, without_sendfile: bool) -> None:
    data = os.urandom(size)
    with bench_of(file_handler(data)) as bench:
        client = bench.connect()
        client.transport._without_sendfile = without_sendfile
        client.far.sendall(GET)
        assert client.read_all() == head(length=size) + data
        assert client.connection.state is A


def test_a_stretch_of_a_file_is_sent_and_no_more() -> None:
    with bench_of(lambda _: Response(File(temporary(b"0123456789"), 3, 4))) as bench:
        assert bench.connect().send(GET).sent == head(length=4) + b"3456"


def test_a_file_among_pieces_is_sent_in_its_place() -> None:
    def multipart(request: Request) -> Response:
        file = temporary(b"0123456789")
        parts: list[Piece] = [b"--a\r\n", File(file, 0, 3, owned=False), b"--b\r\n", File(file, 5, 2), b"--\r\n"]
        return Response(parts, fields=((b"content-length", b"%d" % 19),))

    with bench_of(multipart) as bench:
        client = bench.connect()
        assert client.send(GET).sent.endswith(b"\r\n\r\n--a\r\n012--b\r\n56--\r\n")
        assert client.connection.state is A


def test_a_file_among_chunks_is_one() -> None:
    def multipart(request: Request) -> Response:
        parts: list[Piece] = [b"<", File(temporary(b"0123456789"), 0, 10), b">"]
        return Response(iter(parts))

    with bench_of(multipart) as bench:
        sent = bench.connect().send(GET).sent
        assert sent == head(chunked=True) + b"1\r\n<\r\na\r\n0123456789\r\n1\r\n>\r\n0\r\n\r\n"


def test_an_empty_file_among_chunks_is_none() -> None:
    parts: list[Piece] = [b"<", File(temporary(b""), 0, 0), b">"]
    with bench_of(lambda _: Response(iter(parts))) as bench:
        assert bench.connect().send(GET).sent == head(chunked=True) + b"1\r\n<\r\n1\r\n>\r\n0\r\n\r\n"


def test_the_last_byte_of_an_answer_is_not_sent_as_if_more_would_follow() -> None:
    """MSG_MORE on what comes last keeps it in the kernel for 200 ms."""
    answers: list[Response] = []
    with bench_of(lambda _: answers[-1]) as bench:
        for body in (b"", b"x", File(temporary(b""), 0, 0), [b"a"], [File(temporary(b""), 0, 0)], b"x" * 100_000):
            answers.append(Response(body))
            client = bench.connect()
            client.send(GET)
            assert client.transport.writes[-1][1] is False, body


def test_a_small_file_shares_the_system_call_of_its_head() -> None:
    with bench_of(file_handler(b"x" * READ_SIZE)) as bench:
        client = bench.connect()
        client.send(GET)
        assert client.transport.writes == [(head(length=READ_SIZE) + b"x" * READ_SIZE, False)]


def test_a_head_that_a_larger_file_follows_shares_its_packet() -> None:
    with bench_of(file_handler(b"x" * (READ_SIZE + 1))) as bench:
        client = bench.connect()
        client.send(GET)
        assert client.transport.writes == [(head(length=READ_SIZE + 1), True)]


def unreadable(size: int) -> File:
    """A file that is open for writing only."""
    descriptor, name = tempfile.mkstemp()
    os.ftruncate(descriptor, size)
    os.close(descriptor)
    descriptor = os.open(name, os.O_WRONLY)
    os.unlink(name)
    return File(descriptor, 0, size)


@pytest.mark.parametrize(
    "file",
    [
        lambda: unreadable(10),
        lambda: File(9999, 0, 10),
        lambda: File(9999, 0, READ_SIZE + 1),
        lambda: File(temporary(b"abc"), 0, 10),
        lambda: File(temporary(b"x" * READ_SIZE), 0, READ_SIZE + 1),
        lambda: File(temporary(b"x" * 2 * READ_SIZE), READ_SIZE, READ_SIZE + 1),
    ],
    ids=["unreadable", "closed", "large and closed", "short", "large and short", "short behind its offset"],
)
def test_a_file_that_cannot_be_sent_is_a_500_as_long_as_nothing_was_sent(file: Callable[[], File]) -> None:
    with bench_of(lambda _: Response(file())) as bench:
        whole = bench.connect().send(GET)
        assert whole == awaiting(
            USUAL, error(500, "Internal Server Error", close=False), "file_unreadable", "1-1 GET / 500"
        )
        assert bench.service.statuses[200] == 0


@pytest.mark.parametrize("size", [10, READ_SIZE + 10])
def test_a_file_that_cannot_be_sent_behind_others_cuts_the_answer(size: int) -> None:
    pieces = [File(temporary(b"abc"), 0, 3), File(temporary(b"abc"), 0, size)]
    with bench_of(lambda _: Response(iter(pieces))) as bench:
        client = bench.connect()
        assert client.send(GET) == closed(
            [Q, O, P, C],
            head(chunked=True) + b"3\r\nabc\r\n",
            "file_unreadable",
            "ended: server PRODUCING RESPONSE_BROKEN",
            "1-1 GET / 200 server in PRODUCING",
        )


def test_a_file_that_becomes_shorter_while_it_is_sent_cuts_the_answer() -> None:
    descriptor = temporary(b"x" * 3_000_000)
    with bench_of(lambda _: Response(File(descriptor, 0, 3_000_000))) as bench:
        client = stuck(bench)
        with open(descriptor, "r+b", closefd=False) as file:
            file.truncate(10)
        client.read_all()
        assert client.connection.state is C
        assert bench.logs.take() == [
            "file_unreadable",
            "ended: server SENDING_RESPONSE RESPONSE_BROKEN",
            "1-1 GET / 200 server in SENDING_RESPONSE",
        ]
        assert client.transport.done == ["reset", "close"]


def test_head_closes_the_file_and_tells_its_length() -> None:
    file = File(temporary(b"abc"), 0, 3)
    with bench_of(lambda _: Response(file)) as bench:
        assert bench.connect().send(GET.replace(b"GET", b"HEAD")).sent == head(length=3)
    assert not file.owned


def test_a_file_is_closed_when_the_client_leaves() -> None:
    with bench_of(file_handler(b"x" * 3_000_000)) as bench:
        client = stuck(bench)
        assert client.connection.file is not None
        client.far.close()
        bench.settle()
        assert client.connection.state is C
        assert client.connection.file is None


def test_a_file_is_sent_in_bounded_pieces_so_that_others_get_their_turn() -> None:
    with bench_of(file_handler(b"x" * 5_000_000)) as bench:
        client = bench.connect()
        asked = []

        def send_file(descriptor: int, offset: int, count: int) -> int:
            asked.append(count)
            return count

        client.transport.send_file = send_file  # type: ignore[method-assign]
        client.far.sendall(GET)
        bench.turn()
        assert asked == [2 * 1024 * 1024]
        bench.settle()
        assert asked == [2 * 1024 * 1024] * 2 + [5_000_000 - 4 * 1024 * 1024]


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("status", [200, 204, 99])
def test_files_of_a_list_that_were_not_reached_are_closed_all_the_same(method: bytes, status: int) -> None:
    shared = temporary(b"0123456789")
    files = [File(shared, 0, 3, owned=False), File(temporary(b"x"), 0, 1), File(shared, 5, 2)]
    parts: list[Piece] = [b"x" * 1_000_000, *files]
    with bench_of(lambda _: Response(parts, status)) as bench:
        client = bench.connect(buffer=4096)
        client.far.sendall(GET.replace(b"GET", method))
        bench.settle()
        client.far.close()
        bench.settle()
        assert client.connection.state is C
    assert not any(file.owned for file in files)


@pytest.mark.parametrize("data", [b"", b"data"])
def test_a_file_that_can_not_be_closed_harms_no_answer(data: bytes) -> None:
    class Unclosable(File):
        def close(self) -> None:
            super().close()
            raise OSError(errno.EIO, "Input/output error")

    with bench_of(lambda _: Response(Unclosable(temporary(data), 0, len(data)))) as bench:
        client = bench.connect()
        whole = client.send(GET)
        assert (whole.state, whole.sent) == (A, head(length=len(data)) + data)


def test_the_pieces_of_a_turn_are_counted_however_often_it_looks_at_the_connection() -> None:
    """An answer that a sweep has brought is both reported writable and presumed to be, in the turn behind it."""
    produced, waits = 0, Pending()

    def pieces() -> Iterator[bytes]:
        nonlocal produced
        while produced < 10 * PIECES:
            produced += 1
            yield b"x" * 65_536

    def take_all(data: bytes | memoryview, more: bool = False) -> int:
        return len(data)

    async def application(request: Request) -> Response:
        await waits
        return Response(pieces())

    with bench_of(application) as bench:
        client = bench.connect()
        client.transport.write = take_all  # type: ignore[method-assign]
        client.send(GET)
        bench.loop.call_at(bench.clock(), waits.finish)
        bench.turn()
        assert (client.connection.state, produced) == (O, 1)
        bench.turn()
        assert (client.connection.state, produced) == (O, PIECES)
        bench.settle()
        assert client.connection.state is A


@pytest.mark.parametrize("body", [lambda: b"x" * 100_000, lambda: File(temporary(b"x" * 100_000), 0, 100_000)])
def test_what_waited_for_a_slow_handler_of_its_turn_has_all_its_time_to_be_taken(
    body: Callable[[], bytes | File],
) -> None:
    def application(request: Request) -> Response:
        if request.target == "/slow":
            bench.clock.now += bench.limits.send_timeout
            return Response(b"slow")
        return Response(body())

    with bench_of(application) as bench:
        quick, slow = bench.connect(takes=itertools.chain([1000, 50_000], itertools.repeat(0))), bench.connect()
        quick.far.sendall(GET)
        slow.far.sendall(GET.replace(b"/", b"/slow", 1))
        others = [bench.connect() for _ in range(FEW)]  # where few are ready, an answer does not wait
        bench.poller.script = [[(client.connection.descriptor, 1) for client in (quick, slow, *others)], []]
        bench.turn()
        assert quick.connection.state is O
        bench.turn()
        assert quick.connection.state is O
        bench.clock.now += bench.limits.send_timeout
        bench.turn()
        assert quick.connection.state is C


# --- output that the socket takes piece by piece


def answers(request: Request) -> Any:
    match request.target:
        case "/bytes":
            return Response(b"abcdefghij" * 20)
        case "/large":
            return Response(b"0123456789" * 7_000)
        case "/chunks":
            pieces: list[Piece] = [b"a" * 10, File(temporary(b"file" * 5), 2, 15), b"", b"b", b"c" * 70_000]
            return Response(iter(pieces))
        case "/file":
            return Response(File(temporary(b"0123456789" * 30), 5, 200))
        case "/echo":
            return echo(request)
        case _:
            return read_all(request)


CONVERSATION = b"".join(
    [
        *(
            b"GET /%b HTTP/1.1\r\nhost: x\r\n\r\n" % name
            for name in (b"bytes", b"chunks", b"file", b"large", b"missing")
        ),
        post(b"echoed").replace(b"/ ", b"/echo "),
        LAST,
    ]
)


def spoken(takes: list[int], cuts: list[int], *, without_sendfile: bool) -> tuple[bytes, list[str]]:
    """What a client gets whose socket takes so many bytes at a time, when it sends in these pieces."""
    with bench_of(answers) as bench:
        client = bench.connect(takes)
        client.transport._without_sendfile = without_sendfile
        got = b""
        for one, other in itertools.pairwise([0, *cuts, len(CONVERSATION)]):
            client.far.sendall(CONVERSATION[one:other])
            got += client.read_all()
        assert client.connection.state is C
        return got, bench.logs.take()


WHOLLY = spoken([], [], without_sendfile=False)


@given(
    st.lists(st.one_of(st.integers(0, 3), st.integers(0, 300), st.integers(0, 70_000)), max_size=60),
    st.sets(st.integers(1, len(CONVERSATION) - 1), max_size=5),
    st.booleans(),
)
@settings(max_examples=60)
def test_however_the_socket_takes_it_the_client_gets_the_same(
    takes: list[int], cuts: set[int], without_sendfile: bool
) -> None:
    assert spoken(takes, sorted(cuts), without_sendfile=without_sendfile) == WHOLLY


def test_one_byte_at_a_time_is_the_same_too() -> None:
    got, logged = spoken([1] * 3000, [], without_sendfile=True)
    assert (got, logged) == WHOLLY


@pytest.mark.parametrize("poller", EVERY_POLLER)
def test_a_tiny_socket_gets_a_large_answer_whole(poller: str) -> None:
    with bench_of(answers, poller=poller) as bench:
        client = bench.connect(buffer=2048)
        client.far.sendall(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n" * 3)
        assert client.read_all() == (head(length=70_000) + b"0123456789" * 7_000) * 3
        assert client.connection.state is A


@pytest.mark.parametrize("streamed", [False, True])
def test_a_large_body_is_sent_as_the_object_it_is_and_copied_for_no_connection(streamed: bool) -> None:
    """Each reader of a large body would have its own otherwise: twenty of them, twenty times its size."""
    body = b"x" * 1_000_000
    with bench_of(lambda _: Response([body] if streamed else body)) as bench:
        client = stuck(bench)
        connection = client.connection
        rest = connection.output if len(connection.output) > 1000 else connection.tail
        assert (rest.obj if isinstance(rest, memoryview) else rest) is body
        sent = client.read_all()
        assert sent.count(b"x") == len(body)
        assert connection.state is A
