"""The peer leaves at every byte of an exchange, by a reset, a half-close or a close: the server is none the worse.

After each test the server has as many descriptors open as before it, no handler has run on a truncated body, and a
whole request has its whole answer, however its client shut its side.
"""

import json
from collections.abc import Callable

import pytest

from tests.support.applications import pattern
from tests.support.client import Client, CutShort, chunked, request
from tests.support.server import ServerProcess
from tests.support.waiting import eventually

SIZED = request("/read", "X-Filler: 1", method="POST", body=b"the body of it")
CHUNKED = request("/read", "Transfer-Encoding: chunked", method="POST") + chunked(b"the body", b" of it")
EXPECTING = request("/read", "Expect: 100-continue", method="POST", body=b"the body of it")
PLAIN = request("/mark/plain")

REQUESTS = {"sized": SIZED, "chunked": CHUNKED, "expecting": EXPECTING, "plain": PLAIN}

Marks = Callable[[], list[str]]

STREAM = "/stream/async/6/20"


@pytest.fixture
def marks(server: ServerProcess) -> Callable[[], list[str]]:
    """What the handlers have noted since the test began."""

    def noted() -> list[str]:
        with Client(server.address) as client:
            found: list[str] = json.loads(client.get("/marks").body)
            return found

    before = len(noted())
    server.settle()
    return lambda: noted()[before:]


def assert_unharmed(server: ServerProcess) -> None:
    server.settle()
    with Client(server.address) as client:
        assert client.get("/hello").body == b"hello\n"
    server.settle()


def leave_by_reset(client: Client) -> None:
    client.reset()


def leave_by_close(client: Client) -> None:
    client.close()


@pytest.mark.parametrize("leave", [leave_by_reset, leave_by_close])
@pytest.mark.parametrize("kind", REQUESTS)
def test_the_peer_leaves_at_every_byte_of_its_request(
    server: ServerProcess, marks: Marks, kind: str, leave: Callable[[Client], None]
) -> None:
    raw = REQUESTS[kind]
    for size in range(len(raw)):
        client = Client(server.address, data=raw[:size])
        leave(client)
    assert_unharmed(server)
    assert marks() == []


@pytest.mark.parametrize("kind", REQUESTS)
def test_the_peer_leaves_at_every_byte_after_the_server_has_read_it(
    server: ServerProcess, marks: Marks, kind: str
) -> None:
    """As above, but with all those connections open at once, so that none is gone before it was looked at."""
    raw = REQUESTS[kind]
    opened = [Client(server.address, data=raw[:size]) for size in range(len(raw))]
    server.settle(len(opened))
    with Client(server.address) as client:
        assert client.get("/hello").status == 200
    for client in opened:
        client.reset()
    assert_unharmed(server)
    assert marks() == []


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_half_close_at_every_byte_of_a_request(server: ServerProcess, marks: Marks, kind: str) -> None:
    raw = REQUESTS[kind]
    head = raw.index(b"\r\n\r\n") + 4
    for size in range(len(raw)):
        with Client(server.address, data=raw[:size]) as client:
            client.half_close()
            if size < head:
                assert client.end() == "closed"
                continue
            answer = client.answer()
            assert (answer.status, answer.reason) == (400, "Bad Request")
            assert (
                answer.error == "400 Bad Request: The connection was closed before the whole request body had arrived."
            )
            assert client.end() == "closed"
    assert marks() == []
    assert_unharmed(server)


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_half_close_after_a_whole_request_gets_the_whole_answer(
    server: ServerProcess, marks: Marks, kind: str
) -> None:
    raw = REQUESTS[kind]
    with Client(server.address, data=raw) as client:
        client.half_close()
        assert client.answer().status == 200
        assert client.end() == "closed"
    assert len(marks()) == 1
    assert_unharmed(server)


@pytest.mark.parametrize("target", ["/bytes/5000000", "/stream/async/50/100000", "/stream/sync-sized/50/100000"])
def test_a_half_close_at_once_gets_all_of_a_large_answer(server: ServerProcess, target: str) -> None:
    with Client(server.address, data=request(target), window=65536) as client:
        client.half_close()
        size = 100000 if "stream" in target else 5000000
        assert client.answer().body == pattern(size) * (5000000 // size)
        assert client.end() == "closed"


def answer_bytes(server: ServerProcess) -> int:
    """How many bytes an answer to STREAM has."""
    with Client(server.address, data=request(STREAM)) as client:
        client.half_close()
        return len(client.rest())


@pytest.mark.parametrize("leave", [leave_by_reset, leave_by_close])
def test_the_peer_leaves_at_every_byte_of_an_answer(
    server: ServerProcess, marks: Marks, leave: Callable[[Client], None]
) -> None:
    size = answer_bytes(server)
    for count in range(1, size):
        client = Client(server.address, data=request(STREAM))
        client.take(count, 7)
        leave(client)
    assert_unharmed(server)
    eventually(lambda: marks().count("stream ended") == size)


def test_a_half_close_at_every_byte_of_an_answer_gets_the_rest_of_it(server: ServerProcess) -> None:
    size = answer_bytes(server)
    for count in range(1, size):
        with Client(server.address, data=request(STREAM)) as client:
            client.take(count, 7)
            client.half_close()
            assert client.answer().body == pattern(20) * 6
            assert client.end() == "closed"
    assert_unharmed(server)


@pytest.mark.parametrize("fraction", range(0, 100, 10))
def test_the_peer_resets_in_the_middle_of_a_large_answer(server: ServerProcess, fraction: int) -> None:
    client = Client(server.address, data=request("/bytes/8000000"), window=16384, own=True)
    client.take(80_000 * fraction + 1)
    client.reset()
    if fraction < 50:
        event = server.wait_for("connection_ended", peer=client.name)
        assert (event["cause"], event["state"], event["trigger"]) == ("client", "SENDING_RESPONSE", "PEER_RESET")


def test_a_reset_after_half_an_upload_runs_no_handler(server: ServerProcess, marks: Marks) -> None:
    for size in range(0, 900_000, 90_000):
        with Client(server.address, data=request("/read", "Content-Length: 900000", method="POST")) as client:
            client.send(b"x" * size)
            client.reset()
    server.settle()
    assert marks() == []


def test_a_half_close_inside_an_upload_that_is_echoed_cuts_the_answer(server: ServerProcess) -> None:
    with Client(server.address, data=request("/echo", "Content-Length: 100000", method="POST"), own=True) as client:
        client.send(b"x" * 50_000)
        client.take(1000)
        client.half_close()
        with pytest.raises(CutShort):
            client.answer()
    event = server.wait_for("connection_ended", peer=client.name)
    assert (event["cause"], event["trigger"]) == ("client", "BODY_REFUSED")
