"""Every limit, as a pair: N passes, N+1 is refused with its status and reason, and the connection is closed.

The limits are set small by their options, so that these are shown to work; the corpus has the pairs of the defaults.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import Start
from tests.support.applications import LARGE, pattern
from tests.support.client import Client, clients, request
from tests.support.server import ServerProcess, serving

SMALL = {
    "max-request-line": 100,
    "max-field-line": 200,
    "max-fields": 5,
    "max-head": 500,
    "max-chunk-line": 20,
    "max-chunk-overhead": 40,
    "max-body": 1000,
    "max-requests": 3,
    "max-linger": 1000,
}


@pytest.fixture(scope="module")
def narrow(choices: list[str]) -> Iterator[ServerProcess]:
    """A server with small limits, and deadlines that do not interfere."""
    options = [word for name, value in SMALL.items() for word in (f"--{name}", str(value))]
    with serving(*choices, *options, "--linger-timeout", "30") as server:
        yield server


class Pair(NamedTuple):
    """What passes, what is refused, and how."""

    passes: bytes
    refused: bytes
    status: int
    reason: str
    detail: str


def of_line(size: int) -> bytes:
    """A request whose request line has `size` bytes."""
    return request("/hello?" + "a" * (size - len("GET /hello? HTTP/1.1")))


def of_field(size: int) -> bytes:
    """A request with a field line of `size` bytes."""
    return request("/hello", "A:" + "b" * (size - 2))


def of_fields(count: int) -> bytes:
    """A request with that many fields, Host included."""
    return request("/hello", *["A: b"] * (count - 1))


def of_head(size: int) -> bytes:
    """A request whose head has `size` bytes, in lines of at most 150, a space behind each colon not counted."""
    lines = ["A: " + "b" * 147] * 2
    empty = request("/hello", *lines, "A: ")
    rest = size - len(empty) + empty.count(b": ")
    return request("/hello", *lines, "A: " + "b" * rest)


CHUNKED = request("/read", "Transfer-Encoding: chunked", method="POST")


def of_chunk_line(size: int) -> bytes:
    return CHUNKED + b"3;" + b"e" * (size - 2) + b"\r\nabc\r\n0\r\n\r\n"


def of_overhead(excess: int) -> bytes:
    """Chunks whose framing has `excess` bytes more than the body: four for each of one byte, and the last line."""
    ones = b"1\r\nx\r\n" * ((excess - 3) // 4)
    return CHUNKED + ones + b"0" * (excess - len(ones) // 6 * 4 - 2) + b"\r\n\r\n"


def of_trailers(count: int) -> bytes:
    return CHUNKED + b"0\r\n" + b"A: b\r\n" * count + b"\r\n"


def of_body(size: int) -> bytes:
    return request("/read", method="POST", body=b"x" * size)


def of_chunked_body(size: int) -> bytes:
    return CHUNKED + b"%x\r\n" % (size - 1) + b"x" * (size - 1) + b"\r\n1\r\ny\r\n0\r\n\r\n"


def of_route_body(size: int) -> bytes:
    return request("/limited", method="POST", body=b"x" * size)


def of_chunked_route_body(size: int) -> bytes:
    return request("/limited", "Transfer-Encoding: chunked", method="POST") + b"%x\r\n%b\r\n0\r\n\r\n" % (
        size,
        b"x" * size,
    )


TOO_LARGE = (413, "Content Too Large")
FIELDS_TOO_LARGE = (431, "Request Header Fields Too Large")
BAD = (400, "Bad Request")

PAIRS = {
    "request line": Pair(of_line(100), of_line(101), 414, "URI Too Long", "The request line is longer than 100 bytes."),
    "field line": Pair(of_field(200), of_field(201), *FIELDS_TOO_LARGE, "A field line is longer than 200 bytes."),
    "fields": Pair(of_fields(5), of_fields(6), *FIELDS_TOO_LARGE, "There are more than 5 fields."),
    "head": Pair(of_head(500), of_head(501), *FIELDS_TOO_LARGE, "The head is longer than 500 bytes."),
    "chunk line": Pair(of_chunk_line(20), of_chunk_line(21), *BAD, "A chunk line is longer than 20 bytes."),
    "chunk framing": Pair(
        of_overhead(40), of_overhead(41), *BAD, "The chunk framing is larger than the body by more than 40 bytes."
    ),
    "trailers": Pair(of_trailers(5), of_trailers(6), *BAD, "There are more than 5 fields."),
    "body": Pair(of_body(1000), of_body(1001), *TOO_LARGE, "The body may have at most 1000 bytes here."),
    "chunked body": Pair(
        of_chunked_body(1000), of_chunked_body(1001), *TOO_LARGE, "The body is longer than 1000 bytes."
    ),
    "body of a route": Pair(
        of_route_body(10), of_route_body(11), *TOO_LARGE, "The body may have at most 10 bytes here."
    ),
    "chunked body of a route": Pair(
        of_chunked_route_body(10), of_chunked_route_body(11), *TOO_LARGE, "The body is longer than 10 bytes."
    ),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("step", [1 << 20, 1, 7])
def test_n_passes_and_n_plus_one_is_refused(narrow: ServerProcess, name: str, step: int) -> None:
    pair = PAIRS[name]
    with Client(narrow.address) as client:
        for at in range(0, len(pair.passes), step):
            client.send(pair.passes[at : at + step])
        assert client.answer().status == 200
        assert client.get("/hello").status == 200
    with Client(narrow.address, own=True) as client:
        for at in range(0, len(pair.refused), step):
            if not client.try_send(pair.refused[at : at + step]):
                break
        answer = client.answer()
        assert (answer.status, answer.reason, answer["connection"]) == (pair.status, pair.reason, "close")
        assert answer.error == f"{pair.status} {pair.reason}: {pair.detail}"
        assert client.end() == "closed"
    assert narrow.wait_for("request", peer=client.name)["status"] == pair.status


def test_a_connection_has_so_many_requests_and_no_more(narrow: ServerProcess) -> None:
    with Client(narrow.address) as client:
        for number in range(3):
            answer = client.get("/hello")
            assert (answer.status, answer.get("connection")) == (200, "close" if number == 2 else None)
        assert client.end() == "closed"


def test_a_connection_has_a_thousand_requests_by_default(start: Start) -> None:
    server = start("--no-access-log")
    with Client(server.address, data=request("/hello") * 999) as client:
        assert {client.answer().get("connection") for _ in range(999)} == {None}
        client.send(request("/hello") + request("/mark/one-too-many"))
        assert client.answer()["connection"] == "close"
        assert client.end() == "closed"
    with Client(server.address) as client:
        assert "one-too-many" not in client.get("/marks").text


def test_what_is_pipelined_beyond_the_last_request_is_not_served(narrow: ServerProcess) -> None:
    with Client(narrow.address) as client:
        client.send(request("/hello") * 3 + request("/mark/fourth"))
        assert [client.answer().get("connection") for _ in range(3)] == [None, None, "close"]
        assert client.end() == "closed"
    with Client(narrow.address) as client:
        assert "fourth" not in client.get("/marks").text


def test_so_much_is_discarded_after_the_last_answer_and_no_more(narrow: ServerProcess) -> None:
    with Client(narrow.address) as other:
        assert other.get("/hello").status == 200
        narrow.settle(1)
        with Client(narrow.address, data=request("/unread", "Content-Length: 900", method="POST")) as client:
            assert client.answer().status == 200
            assert client.end() == "closed"
            client.send(b"x" * 1000)
            # The loop has one thread: when it has answered another, it has read what came before that.
            assert other.get("/marks").status == 200
            assert narrow.descriptors() == narrow.base + 2
            client.send(b"y")
            narrow.settle(1)


@pytest.mark.parametrize("size", [1, 1000])
def test_no_more_is_produced_than_the_socket_takes_and_a_bit(start: Start, size: int) -> None:
    """What a producer has yielded and the socket has not taken is at most `--max-output` and one piece."""
    server = start("--max-output", "10000")
    with Client(server.address, data=request(f"/counted/{size}"), window=4096) as client:
        client.take(1)
        with Client(server.address) as other:
            before, after = "", other.get("/produced").text
            while before != after:
                before = after
                for _ in range(20):
                    other.get("/hello")
                after = other.get("/produced").text
        client.reset()
    taken = server.request_event(f"/counted/{size}")["bytes_out"]
    # Framing counts as taken, too, which makes the bound narrower than it says.
    assert int(after) - taken <= 10000 + size


def test_a_few_may_be_accepted_in_one_go_and_all_are_served(start: Start) -> None:
    server = start("--max-accepts", "1")
    with clients(server.address, 100, request("/hello")) as opened:
        assert [client.answer().status for client in opened] == [200] * 100


def test_so_many_calls_wait_for_a_thread_and_no_more(start: Start) -> None:
    """Eight run, 64 wait; whoever comes then is told so at once, and when to come again."""
    server = start()
    with clients(server.address, 72 + 10, request("/sleep/4000")) as opened:
        refused = [client.answer() for client in opened[72:]]
        assert [answer.status for answer in refused] == [503] * 10
        assert {answer["retry-after"] for answer in refused} == {"1"}
        assert [client.get("/hello").status for client in opened[72:]] == [200] * 10
        for client in opened[:72]:
            client.reset()
    server.settle()


def test_so_many_ranges_are_sent_and_no_more(start: Start, tmp_path: Path) -> None:
    data = pattern(LARGE)
    (tmp_path / "file").write_bytes(data)
    for options, most in (((), 16), (("--max-ranges", "3"), 3)):
        server = start(*options, target=str(tmp_path))
        with Client(server.address) as client:
            for count, status in ((most, 206), (most + 1, 200)):
                ranges = ",".join(f"{start * 100}-{start * 100}" for start in range(count))
                answer = client.get("/file", f"Range: bytes={ranges}")
                assert answer.status == status
                assert status == 206 or answer.body == data
            answer = client.get("/file", "Range: bytes=0-,0-")
            assert (answer.status, len(answer.body)) == (200, LARGE)


def test_one_megabyte_in_one_byte_chunks_is_refused_at_little_cost(start: Start) -> None:
    """aiohttp's CVE-2025-69229. The framing outweighs the body; the other clients notice nothing."""
    server = start()
    before = server.cpu()
    with Client(server.address) as client:
        client.send(CHUNKED)
        for _ in range(100):
            if not client.try_send(b"1\r\nx\r\n" * 10_000):
                break
        answer = client.answer()
        assert (answer.status, "framing" in answer.text) == (400, True)
    assert server.cpu() - before < 1


def test_hostile_heads_cost_little(start: Start) -> None:
    """waitress's CVE-2020-5236: a regular expression must not go exponential. 64 KB each, in one segment or many."""
    server = start("--max-head", "70000", "--max-field-line", "66000", "--max-request-line", "66000", "--no-access-log")
    hostile = [
        b"GET / HTTP/1.1\r\nHost: a\r\nA:" + b" " * 65000 + b"\0",
        b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: " + b"chunked," * 8000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: " + b"a." * 30000 + b"@\r\n\r\n",
        b"GET /" + b"%41" * 21000 + b"%4 HTTP/1.1\r\n\r\n",
        b"GET http://" + b"a" * 60000 + b"@b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"1" * 60000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: " + b"keep-alive , " * 5000 + b"\r\nA : b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a:\r\n" * 16000,
    ]

    def cost(raw: bytes) -> float:
        before = server.cpu()
        for _ in range(10):
            with Client(server.address, data=raw) as client:
                assert 400 <= client.answer().status < 502
        return server.cpu() - before

    harmless = b"GET /%zz HTTP/1.1\r\nHost: a\r\n" + b"A: 1234567\r\n" * 5000 + b"\r\n"
    for raw in hostile:
        # The kernel counts in 10 ms. What other processes cost the caches, the yardstick pays, too.
        assert any(cost(raw) <= 0.1 + 4 * cost(harmless) for _ in range(3)), raw[:60]
