"""A request and its answer through the proxy at the same time, and clients that are slow in either."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.conftest import Start
from tests.e2e.test_proxy import Played, head_of
from tests.support.applications import pattern
from tests.support.client import Client, CutShort, chunked, request
from tests.support.server import ServerProcess
from tests.support.waiting import eventually

MIB = 1 << 20
SLOW = 70
"""More clients than there are connections to one upstream."""


@pytest.fixture(scope="module")
def echoing(choices: list[str], server: ServerProcess) -> Iterator[ServerProcess]:
    """A proxy before the module's server."""
    proxy = ServerProcess(*choices, "--max-body", "64M", "--no-access-log", target=server.url)
    try:
        yield proxy
        proxy.finish()
    finally:
        if proxy.running:
            proxy.kill()


@pytest.fixture
def played() -> Iterator[Played]:
    upstream = Played()
    yield upstream
    upstream.close()


def posted(body: bytes, *, sized: bool) -> bytes:
    if sized:
        return request("/echo", f"Content-Length: {len(body)}", method="POST") + body
    pieces = [body[at : at + 8192] for at in range(0, len(body), 8192)]
    return request("/echo", "Transfer-Encoding: chunked", method="POST") + chunked(*pieces)


@pytest.mark.parametrize("sized", [True, False], ids=["sized", "chunked"])
@pytest.mark.parametrize("reads", ["meanwhile", "afterwards"])
@pytest.mark.parametrize(("size", "times"), [(200_000, 12), (900_000, 12), (20_000_000, 1)])
def test_an_upstream_may_answer_while_it_reads(
    echoing: ServerProcess, size: int, times: int, reads: str, *, sized: bool
) -> None:
    """Bounds limit memory, and never what a correct peer may do: an echo of any length comes through, also to a client
    that reads nothing before it has sent all of its request."""
    body = pattern(size)
    data = posted(body, sized=sized)
    with Client(echoing.address) as client:
        for _ in range(times):
            sender = threading.Thread(target=client.send, args=(data,))
            sender.start()
            if reads == "afterwards":
                sender.join()
            answer = client.answer("POST")
            sender.join()
            assert answer.status == 200
            assert answer.body == body


def test_client_and_upstream_may_take_turns(start: Start, played: Played) -> None:
    """Neither side waits for more than the other has to say: a conversation in one exchange goes to and fro."""
    proxy = start(target=played.url)
    with Client(proxy.address) as client:
        client.send(request("/"))
        upstream = played.asked()
        upstream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert client.answer().status == 200
        client.send(request("/talk", "Transfer-Encoding: chunked", method="POST"))
        head_of(upstream)
        upstream.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhi!\r\n")
        assert client._head().status == 200
        assert (client._line(), client._exactly(5)) == (b"3", b"hi!\r\n")
        for word in (b"one", b"two", b"six"):
            client.send(b"3\r\n%b\r\n" % word)
            assert upstream.recv(64) == b"3\r\n%b\r\n" % word
            upstream.sendall(b"3\r\n%b\r\n" % word.upper())
            assert (client._line(), client._exactly(5)) == (b"3", word.upper() + b"\r\n")
        client.send(b"0\r\n\r\n")
        assert upstream.recv(64) == b"0\r\n\r\n"
        upstream.sendall(b"0\r\n\r\n")
        assert client._exactly(5) == b"0\r\n\r\n"
        client.send(request("/again"))
        assert b"/again" in head_of(upstream), "the exchange was exact: both connections are used again"


def test_an_early_success_is_handed_on_though_the_upstream_reads_no_more(start: Start, played: Played) -> None:
    """An answer that is whole is handed on at once; the rest of its request is nobody's."""
    proxy = start("--max-body", "64M", target=played.url)
    with Client(proxy.address) as client:
        client.send(request("/", f"Content-Length: {20 * MIB}", method="POST") + pattern(100_000))
        upstream = played.asked()
        upstream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")
        answer = client.answer("POST")
        assert (answer.status, answer.body) == (200, b"fine")
        client.half_close()
        assert client.end() == "closed"


def test_slow_readers_occupy_buffers_and_no_connections(start: Start, server: ServerProcess) -> None:
    """However many clients read slowly, or not at all, another one is answered."""
    proxy = start("--xray", "127.0.0.1:0", "--no-access-log", target=server.url)
    with ExitStack() as stack:
        readers = [stack.enter_context(Client(proxy.address, window=4096)) for _ in range(SLOW)]
        for reader in readers:
            reader.send(request("/bytes/3000000"))
        for reader in readers:
            assert reader._head().status == 200
        with Client(proxy.address) as probe:
            assert probe.get("/hello").status == 200
        for reader in readers[:2]:
            assert reader._exactly(3_000_000) == pattern(3_000_000)


@pytest.mark.parametrize("framing", ["Content-Length: 900000", "Transfer-Encoding: chunked"])
def test_slow_uploaders_occupy_buffers_and_not_all_connections(
    start: Start, server: ServerProcess, framing: str
) -> None:
    """However many clients send slowly, another one is answered."""
    proxy = start("--no-access-log", target=server.url)
    with Client(proxy.address) as probe:
        assert probe.get("/hello").status == 200
        begun = b"1\r\na\r\n2\r\n"
        with ExitStack() as stack:
            uploaders = [stack.enter_context(Client(proxy.address)) for _ in range(SLOW)]
            for uploader in uploaders:
                uploader.send(request("/sink", framing, method="POST") + begun)
            for _ in range(3):
                assert probe.get("/hello").status == 200
            if framing.startswith("Content-Length"):
                assert proxy.descriptors() < SLOW + 40, "none of them has a connection to the upstream"


def test_an_event_stream_arrives_piece_by_piece(start: Start, played: Played) -> None:
    """What is buffered is what the client has not taken; nothing waits for more to come."""
    proxy = start(target=played.url)
    with Client(proxy.address) as client:
        client.send(request("/events"))
        upstream = played.asked()
        upstream.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        upstream.sendall(b"9\r\ndata: 1\n\n\r\n")
        assert client._head().status == 200
        assert (client._line(), client._exactly(11)) == (b"9", b"data: 1\n\n\r\n")
        upstream.sendall(b"9\r\ndata: 2\n\n\r\n")
        assert (client._line(), client._exactly(11)) == (b"9", b"data: 2\n\n\r\n")


def test_an_interim_response_reaches_a_client_that_knows_of_such(start: Start, played: Played) -> None:
    """RFC 9110 section 15.2: a proxy forwards them; not to a client of HTTP/1.0."""
    proxy = start(target=played.url)
    for version, hinted in (("1.1", True), ("1.0", False)):
        with Client(proxy.address) as client:
            client.send(request("/", version=version))
            upstream = played.asked()
            upstream.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n")
            if hinted:
                early = client._head()
                assert (early.status, early["link"]) == (103, "</a>; rel=preload")
            upstream.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi")
            assert client.answer().status == 200


def test_a_request_that_is_refused_in_its_first_chunk_never_reaches_the_upstream(start: Start, played: Played) -> None:
    """An upstream that answers from the head alone would act on what the client is told was refused."""
    proxy = start(target=played.url)
    with Client(proxy.address) as client:
        client.send(request("/", "Transfer-Encoding: chunked", method="POST") + b"5\nhello\n0\n\n")
        assert client.answer("POST").status == 400
    with Client(proxy.address) as client:
        client.send(request("/good"))
        upstream = played.accept()
        assert head_of(upstream).startswith(b"GET /good ")
        upstream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert client.answer().status == 200


def test_an_answer_that_breaks_off_is_told_as_the_upstreams_fault(start: Start, played: Played) -> None:
    """The log names who broke an answer off: no handler of ours has failed."""
    proxy = start(target=played.url)
    with Client(proxy.address) as client:
        client.send(request("/"))
        upstream = played.asked()
        upstream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        assert client._head().status == 200
        upstream.close()
        with pytest.raises(CutShort):
            client.rest()
    failed = proxy.wait_for("backend_failed")
    assert (failed["status"], failed["cause"]) == (502, "closed early")
    assert proxy.events("handler_failed") == []
    ended = eventually(lambda: proxy.events("connection_ended"), what="the connection's end in the log")
    assert [event["cause"] for event in ended] == ["upstream"]
    assert json.dumps(failed).count("Traceback") == 0
