"""What RFC 9110 and RFC 9112 require of an intermediary, as far as it shows on a client's wire."""

from collections.abc import Iterator

import pytest

from clerestory.server.config import Limits
from tests.conftest import Start
from tests.e2e.test_proxy import Played, head_of
from tests.support.client import Answer, Client, CutShort, request
from tests.support.server import ServerProcess


@pytest.fixture
def played() -> Iterator[Played]:
    upstream = Played()
    yield upstream
    upstream.close()


@pytest.fixture
def proxy(start: Start, played: Played) -> ServerProcess:
    return start(target=played.url)


def through(
    proxy: ServerProcess, played: Played, raw: bytes, asked: bytes = request("/"), method: str = "GET"
) -> Answer:
    """What a client gets of the answer `raw`."""
    with Client(proxy.address) as client:
        client.send(asked)
        upstream = played.asked()
        upstream.sendall(raw)
        upstream.close()
        return client.answer(method)


def test_a_date_is_added_where_the_upstream_gave_none_and_else_left(proxy: ServerProcess, played: Played) -> None:
    """RFC 9110 section 6.6.1."""
    assert through(proxy, played, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").get("date") is not None
    dated = b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n"
    assert through(proxy, played, dated)["date"] == "Sun, 06 Nov 1994 08:49:37 GMT"


def test_an_upstream_that_closes_does_not_close_the_clients_connection(proxy: ServerProcess, played: Played) -> None:
    """RFC 9110 section 7.6.1: Connection is about one connection. RFC 9112 section 2.3: so is a version."""
    with Client(proxy.address) as client:
        for version in (b"1.1", b"1.0"):
            client.send(request("/"))
            upstream = played.asked()
            upstream.sendall(b"HTTP/%b 200 OK\r\nConnection: close\r\n\r\nhello" % version)
            upstream.close()
            answer = client.answer()
            assert (answer.version if hasattr(answer, "version") else "1.1", answer.body) == ("1.1", b"hello")
        assert client.is_open()


def test_a_client_of_http_1_0_gets_no_chunks(proxy: ServerProcess, played: Played) -> None:
    """RFC 9112 section 6.1."""
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    with Client(proxy.address) as client:
        client.send(request("/", version="1.0"))
        played.asked().sendall(raw)
        how, received = client.everything()
    head, _, body = received.partition(b"\r\n\r\n")
    assert (how, body, b"transfer-encoding" in head.lower()) == ("closed", b"hello", False)


@pytest.mark.parametrize("status", [204, 304])
def test_what_has_no_content_is_followed_by_none(proxy: ServerProcess, played: Played, status: int) -> None:
    """RFC 9112 section 6.3, rule 1: the client's next answer is never taken for a body."""
    with Client(proxy.address) as client:
        client.send(request("/"))
        upstream = played.asked()
        upstream.sendall(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nhi" % status)
        assert client.answer().status == status
        client.send(request("/"))
        upstream = played.asked()
        upstream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext")
        assert client.answer().body == b"next"


def test_an_incomplete_answer_breaks_the_clients_off(proxy: ServerProcess, played: Played) -> None:
    """RFC 9112 section 8."""
    with pytest.raises(CutShort):
        through(proxy, played, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")


def test_connect_is_not_a_request_for_a_gateway(proxy: ServerProcess) -> None:
    """RFC 9110 section 9.3.6."""
    with Client(proxy.address) as client:
        client.send(b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n")
        assert client.answer().status in (400, 501)


def test_a_request_at_our_limits_passes_two_of_our_proxies_in_a_row(start: Start, played: Played) -> None:
    """What the first adds, fields and a space behind each colon, is not held against the second's limits; one byte,
    or one field, beyond them is refused by the first."""
    second = start(target=played.url)
    first = start(target=second.url)
    limits = Limits()
    line = b"GET /".ljust(limits.max_request_line - len(b" HTTP/1.1"), b"t") + b" HTTP/1.1\r\nHost:a\r\n"
    wide = b"A:".ljust(limits.max_field_line, b"a") + b"\r\n"
    many = b"".join(b"B%d:\r\n" % number for number in range(limits.max_fields - 4))
    room = limits.max_head - len(line + 2 * wide + many + b"C:\r\n\r\n")
    assert room > 0
    head = line + 2 * wide + many + b"C:" + b"c" * room + b"\r\n"
    with Client(first.address) as client:
        client.send(head + b"\r\n")
        upstream = played.accept()
        assert len(head_of(upstream)) > limits.max_head
        upstream.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        assert client.answer().status == 204
        for beyond in (head + b"D:\r\n", head.replace(b"A:", b"A:a", 1), head.replace(b"C:", b"C:c")):
            with Client(first.address) as other:
                other.send(beyond + b"\r\n")
                assert other.answer().status == 431
    assert not second.events("connection_ended")
