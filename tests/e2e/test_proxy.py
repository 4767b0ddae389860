"""The reverse proxy as a process, before real servers and before upstreams that do everything wrong."""

import hashlib
import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.conftest import Start
from tests.support.applications import pattern
from tests.support.client import RESET_ON_CLOSE, Client, CutShort, chunked, request
from tests.support.server import ServerProcess
from tests.support.waiting import PATIENCE, eventually
from tests.support.xray import read

MIB = 1 << 20

Full = Callable[..., tuple[ServerProcess, socket.socket]]


class Played:
    """An upstream that the test plays by hand."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(PATIENCE)
        self.url = "http://{}:{}".format(*self.listener.getsockname())
        self._open = ExitStack()
        self._open.enter_context(self.listener)

    def accept(self) -> socket.socket:
        """The next connection, and its request's head read."""
        connection, _ = self.listener.accept()
        self._open.enter_context(connection)
        connection.settimeout(PATIENCE)
        return connection

    def asked(self) -> socket.socket:
        """The next connection, once its request's head has come."""
        connection = self.accept()
        head_of(connection)
        return connection

    def close(self) -> None:
        self._open.close()


def head_of(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        assert piece, data
        data += piece
    return data


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    connection.close()


def stop(connection: socket.socket, data: bytes) -> None:
    connection.sendall(data)
    connection.close()


def until_reset(connection: socket.socket) -> bytes:
    """What comes before the reset, which must come."""
    data = b""
    try:
        while piece := connection.recv(65536):
            data += piece
    except ConnectionResetError:
        return data
    raise AssertionError(f"an orderly end after {data[-80:]!r}")


@pytest.fixture(scope="module")
def behind(choices: list[str], server: ServerProcess) -> Iterator[ServerProcess]:
    """A proxy before the module's server."""
    proxy = ServerProcess(*choices, "--max-body", "64M", target=server.url)
    try:
        yield proxy
        proxy.finish()
    finally:
        if proxy.running:
            proxy.kill()


@contextmanager
def client_of(proxy: ServerProcess, data: bytes = b"") -> Iterator[Client]:
    with Client(proxy.address, data=data) as client:
        yield client


# --- before a real server


def test_answers_come_through(behind: ServerProcess) -> None:
    with client_of(behind) as client:
        assert client.get("/hello").text == "hello\n"
        assert client.get("/json")["content-type"] == "application/json"
        assert client.get("/nothing-here").status == 404
        for status in (204, 304, 404, 500):
            assert client.get(f"/status/{status}").status == status
        assert client.get("/hello", method="HEAD")["content-length"] == "6"


def test_large_answers_come_through_by_length_and_in_chunks(behind: ServerProcess) -> None:
    with client_of(behind) as client:
        assert client.get("/bytes/3000000").body == pattern(3_000_000)
        assert client.get("/stream/async/40/50000").body == pattern(50_000) * 40
        assert client.get("/stream/sync-sized/40/50000").body == pattern(50_000) * 40


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 10 * MIB])
def test_bodies_go_through_by_length_and_in_chunks(behind: ServerProcess, size: int) -> None:
    body = pattern(size)
    pieces = [body[at : at + 50_000] for at in range(0, size, 50_000)]
    expected = hashlib.sha256(body).hexdigest()
    with client_of(behind) as client:
        for lines, data in (
            ([f"Content-Length: {size}"], body),
            (["Transfer-Encoding: chunked"], chunked(*pieces)),
        ):
            client.send(request("/sink", *lines, method="POST") + data)
            assert expected in client.answer().text


def test_pipelined_requests_are_answered_in_their_order(behind: ServerProcess) -> None:
    with client_of(behind) as client:
        client.send(request("/sleep/50") + request("/hello") + request("/bytes/5"))
        assert [client.answer().text for _ in range(3)] == ["slept\n", "hello\n", pattern(5).decode()]


def test_a_client_that_waits_for_100_gets_it_from_the_upstream_or_its_refusal(behind: ServerProcess) -> None:
    with client_of(behind) as client:
        client.send(request("/read", "Content-Length: 5", "Expect: 100-continue", method="POST"))
        client.socket.settimeout(5)
        assert client.socket.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        assert '"length": 5' in client.answer().text
    with client_of(behind) as client:
        client.send(request("/unread", "Content-Length: 5", "Expect: 100-continue", method="POST"))
        answer = client.answer()
        assert (answer.status, answer.interim) == (200, [])


def test_a_body_that_the_upstream_finds_too_large_is_413_while_it_is_still_coming(behind: ServerProcess) -> None:
    with client_of(behind) as client:
        client.send(request("/limited", f"Content-Length: {20 * MIB}", method="POST"))
        for _ in range(20):
            if not client.try_send(pattern(MIB)):
                break
        assert client.answer().status == 413


def test_an_answer_that_breaks_off_upstream_breaks_off_here(behind: ServerProcess) -> None:
    for target in ("/raise-during/value", "/raise-during-sized/value"):
        with client_of(behind, request(target)) as client, pytest.raises(CutShort) as caught:
            client.answer()
        assert caught.value.how == "reset"


def test_a_client_that_leaves_is_gone_upstream_within_a_second(behind: ServerProcess, server: ServerProcess) -> None:
    with client_of(behind, request("/wait/for-the-client")) as client, Client(server.address) as witness:

        def marks() -> str:
            return witness.get("/marks").text

        eventually(lambda: "waiting for-the-client" in marks())
        client.reset()
        eventually(lambda: "cancelled for-the-client" in marks(), patience=1.0)


def test_a_slow_reader_costs_little_memory(start: Start, server: ServerProcess) -> None:
    proxy = start(target=server.url)
    with Client(proxy.address) as warm:
        warm.get("/bytes/3000000")
    before = proxy.memory()
    with Client(proxy.address, data=request(f"/stream/sync/1600/{MIB // 16}"), window=4096) as client:
        taken = 0
        while taken < 100 * MIB:
            piece = client.socket.recv(MIB)
            assert piece
            taken += len(piece)
            if taken % (8 * MIB) < len(piece):
                assert proxy.memory() - before < 3 * MIB  # one of them is --upstream-buffer; the rest is in a file
        assert taken >= 100 * MIB


# --- before upstreams that do everything wrong

Fault = Callable[[socket.socket], object]
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"

BEFORE_THE_HEAD: dict[str, Fault] = {
    "closes": lambda connection: connection.close(),
    "resets": reset,
    "says garbage": lambda connection: connection.sendall(b"\x00\x01garbage\r\n\r\n"),
    "speaks SSH": lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "has two lengths": lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
    "has two framings": lambda c: c.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "folds a line": lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n"),
    "splits a line": lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nA: b\nC: d\r\nContent-Length: 0\r\n\r\n"),
    "switches protocols": lambda c: c.sendall(b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    "stops inside the head": lambda c: stop(c, b"HTTP/1.1 200 OK\r\nA: b"),
}
INSIDE_THE_BODY: dict[str, tuple[bytes, Fault]] = {
    "closes inside a length": (LENGTH, lambda connection: connection.close()),
    "resets inside a length": (LENGTH, reset),
    "closes inside chunks": (CHUNKS, lambda connection: connection.close()),
    "says garbage inside chunks": (CHUNKS, lambda connection: connection.sendall(b"nonsense\r\n")),
    "resets what only a close ends": (b"HTTP/1.1 200 OK\r\n\r\nhello", reset),
}


@pytest.fixture(scope="module")
def wrong(choices: list[str]) -> Iterator[tuple[Played, ServerProcess]]:
    """An upstream played by hand, and a proxy before it that goes on to use its connections, whatever they bring."""
    upstream = Played()
    proxy = ServerProcess(*choices, "--upstream-max-unrequested", "0", target=upstream.url)
    try:
        yield upstream, proxy
        proxy.finish()
    finally:
        upstream.close()
        if proxy.running:
            proxy.kill()


@pytest.mark.parametrize("fault", BEFORE_THE_HEAD)
def test_an_upstream_without_an_answer_is_502_and_the_client_may_go_on(
    wrong: tuple[Played, ServerProcess], fault: str
) -> None:
    upstream, proxy = wrong
    with client_of(proxy, request("/", method="POST", body=b"once")) as client:
        BEFORE_THE_HEAD[fault](upstream.asked())
        answer = client.answer()
        assert answer.status == 502
        assert "upstream" in answer.text.lower() or "answer" in answer.text.lower()
        client.send(request("/"))
        upstream.asked().sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nmine")
        assert client.answer().text == "mine"


@pytest.mark.parametrize("fault", INSIDE_THE_BODY)
def test_an_answer_that_is_cut_short_is_never_ended_as_if_it_were_whole(
    wrong: tuple[Played, ServerProcess], fault: str
) -> None:
    upstream, proxy = wrong
    head, then = INSIDE_THE_BODY[fault]
    with client_of(proxy, request("/")) as client:
        connection = upstream.asked()
        connection.sendall(head)
        eventually(lambda: client.socket.recv(65536, socket.MSG_PEEK))
        then(connection)
        with pytest.raises(CutShort) as caught:
            client.answer()
        assert caught.value.how == "reset"


def test_an_upstream_that_refuses_is_502_and_says_so(start: Start) -> None:
    upstream = Played()
    proxy = start(target=upstream.url)
    upstream.close()
    with Client(proxy.address) as client:
        answer = client.get("/", "Accept: application/json")
        assert answer.status == 502
        assert "The connection to the upstream failed: Connection refused" in answer.text
        assert client.get("/").status == 502


def test_no_answer_is_ever_anothers(wrong: tuple[Played, ServerProcess]) -> None:
    """Response-queue poisoning: a second answer, sent with the first or after it, reaches nobody."""
    upstream, proxy = wrong
    mine, poison = (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n" + word for word in (b"mine!\n", b"poison"))
    with client_of(proxy) as client:
        for late in (False, True):
            client.send(request("/"))
            connection = upstream.asked()
            connection.sendall(mine if late else mine + poison)
            assert client.answer().text == "mine!\n"
            if late:
                connection.sendall(poison)
            assert connection.recv(1) == b"", "the connection is not used again"
            client.send(request("/"))
            upstream.asked().sendall(mine.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"))
            assert client.answer().text == "mine!\n"


def test_a_connection_that_closes_as_it_is_reused_is_asked_again_where_that_is_safe(
    wrong: tuple[Played, ServerProcess],
) -> None:
    upstream, proxy = wrong
    with client_of(proxy) as client:
        client.send(request("/"))
        connection = upstream.asked()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert client.answer().status == 200
        client.send(request("/again"))
        head_of(connection)
        reset(connection)
        upstream.asked().sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nagain")
        assert client.answer().text == "again"


def test_a_client_that_breaks_its_body_off_never_gives_the_upstream_a_whole_request(
    wrong: tuple[Played, ServerProcess],
) -> None:
    upstream, proxy = wrong
    with client_of(proxy, request("/", "Content-Length: 100000", method="POST") + b"x" * 70_000) as client:
        client.half_close()
        assert client.answer().status == 400
    with client_of(proxy, request("/known-to-speak-1.1")) as client:
        connection = upstream.accept()
        assert b"/known-to-speak-1.1" in head_of(connection), "the one before was not asked about"
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        assert client.answer().status == 200
    data = request("/", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n"
    with client_of(proxy, data) as client:
        connection = upstream.accept()
        head_of(connection)
        client.half_close()
        assert client.answer().status == 400
        assert not until_reset(connection).endswith(b"0\r\n\r\n")


def test_the_request_of_a_client_that_has_gone_is_cut_within_a_second(wrong: tuple[Played, ServerProcess]) -> None:
    upstream, proxy = wrong
    with client_of(proxy, request("/")) as client:
        connection = upstream.asked()
        client.reset()
        connection.settimeout(1.0)
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_several_upstreams_and_one_that_dies(start: Start) -> None:
    servers = [start() for _ in range(2)]
    proxy = start("--upstream", servers[1].url, target=servers[0].url)
    with Client(proxy.address) as client:
        for number in range(20):
            assert client.get("/hello").status == 200
            if number == 5:
                for server in servers:
                    server.wait_for("request")
                servers[0].finish()


def test_how_many_requests_are_asked_at_a_time_and_how_many_wait_are_options(start: Start) -> None:
    upstream = Played()
    proxy = start("--upstream-max-connections", "1", "--upstream-max-waiting", "1", target=upstream.url)
    with client_of(proxy, request("/1")) as first:
        connection = upstream.asked()
        with client_of(proxy, request("/2")) as second, Client(proxy.address) as third:
            eventually(lambda: third.get("/3").status == 503)
            told = proxy.wait_for("backend_failed", cause="busy")
            assert told["backend"] == upstream.url.removeprefix("http://")
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none")
            assert first.answer().text == "one"
            head_of(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo")
            assert second.answer().text == "two"
    upstream.close()


@pytest.fixture
def full(start: Start) -> Iterator[Full]:
    """A proxy before an upstream whose one connection is taken, and that connection."""
    with ExitStack() as stack:

        def started(*options: str) -> tuple[ServerProcess, socket.socket]:
            upstream = Played()
            stack.callback(upstream.close)
            options = ("--upstream-max-connections", "1", "--xray", "127.0.0.1:0", *options)
            proxy = start(*options, target=upstream.url)
            stack.enter_context(client_of(proxy, request("/first")))
            return proxy, upstream.asked()

        yield started


def xray(proxy: ServerProcess, path: str) -> str:
    return read(proxy, path)


def slots(proxy: ServerProcess) -> int:
    """Who waits for a connection, as the x-ray counts them."""
    return int(json.loads(xray(proxy, "snapshot.json"))["machines"]["upstream_slot"]["states"]["WAITING"])


def test_who_waits_for_a_connection_is_seen_and_is_503_at_the_deadline(full: Full) -> None:
    proxy, _ = full("--upstream-slot-timeout", "1.5")
    assert slots(proxy) == 0
    with client_of(proxy, request("/second")) as client:
        eventually(lambda: slots(proxy) == 1)
        [row] = json.loads(xray(proxy, "connections.json?path=/second"))["rows"]
        [place] = [row for row in json.loads(xray(proxy, "snapshot.json"))["rows"] if row["kind"] == "upstream_slot"]
        number = place["id"].removeprefix("upstream_slot:")
        assert re.fullmatch(
            r"GET /second QUERYING_BACKEND \d\.\d s of 75 s"
            rf" <- upstream_slot#{number} WAITING \d\.\d s of 1\.5 s"
            r" <- place 1 of 1 for 1 connection to 127\.0\.0\.1:\d+",
            row["why"],
        )
        assert re.fullmatch(r"WAITING \d\.\d s of 1\.5 s <- a free connection", place["why"])
        answer = client.answer()
    assert (answer.status, answer["retry-after"]) == (503, "1")
    assert proxy.wait_for("backend_failed")["cause"] == "busy"
    assert slots(proxy) == 0
    counted = 'clerestory_deadlines_total{machine="upstream_slot",state="WAITING",deadline="slot"} 1'
    assert counted in xray(proxy, "metrics").splitlines()


def test_who_leaves_waits_no_longer_and_the_upstream_is_never_asked_for_him(full: Full) -> None:
    proxy, connection = full()
    with client_of(proxy, request("/gone")) as gone, client_of(proxy) as stays:
        eventually(lambda: slots(proxy) == 1)
        stays.send(request("/stays"))
        eventually(lambda: slots(proxy) == 2)
        gone.reset()
        eventually(lambda: slots(proxy) == 1)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none")
        assert head_of(connection).startswith(b"GET /stays ")
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo")
        assert stays.answer().text == "two"
    assert slots(proxy) == 0
    [left] = [line for line in xray(proxy, "metrics").splitlines() if "upstream_slot" in line and "CALLER_LEFT" in line]
    assert left.endswith(" 1")


def test_an_upstream_that_does_not_answer_in_the_time_that_is_set_is_504(start: Start) -> None:
    upstream = Played()
    proxy = start("--upstream-response-timeout", "0.3", target=upstream.url)
    with client_of(proxy, request("/", method="POST", body=b"once")) as client:
        upstream.asked()
        assert client.answer().status == 504
        assert proxy.wait_for("backend_failed")["cause"] == "response timeout"
    upstream.close()


def test_so_many_hints_are_handed_on_and_no_more(wrong: tuple[Played, ServerProcess]) -> None:
    upstream, proxy = wrong
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
    for hints, status in ((16, 200), (17, 502)):
        with client_of(proxy, request("/")) as client:
            connection = upstream.asked()
            connection.sendall(hint * hints + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nmine")
            answer = client.answer()
            assert (answer.status, answer.interim) == (status, [103] * min(hints, 16))
