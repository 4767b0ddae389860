"""What RFC 9110 and RFC 9112 require of an intermediary, one requirement a test."""

from collections.abc import Iterator

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Fields, Request, Response
from clerestory.handlers.proxy.proxy import Proxy
from clerestory.statemachines.upstream import State as S
from tests.handlers.backends.upstreams import Bench, Caller, Far, Relaying, answer, read


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def fields(*lines: str) -> Fields:
    return tuple(
        (name.encode(), value.encode("latin-1")) for name, _, value in (line.partition(": ") for line in lines)
    )


def asked(bench: Bench, method: str = "GET", target: str = "/", *lines: str, minor: int = 1) -> tuple[Caller, Far]:
    request = Request(method, target, fields(*lines), minor, b"a.example", peer="127.0.0.1:4711")
    caller = Relaying(bench.loop, Proxy(bench.upstream)(request))
    bench.settle()
    return caller, bench.accept()


def sent(bench: Bench, method: str = "GET", target: str = "/", *lines: str, minor: int = 1) -> list[bytes]:
    """The lines of the head that the upstream gets."""
    _, far = asked(bench, method, target, *lines, minor=minor)
    return far.received().split(b"\r\n\r\n")[0].split(b"\r\n")


def answered(bench: Bench, raw: bytes, method: str = "GET", *lines: str) -> Response:
    """What becomes of the answer `raw`."""
    caller, far = asked(bench, method, "/", *lines)
    far.send(raw)
    assert caller.error is None, caller.error
    assert isinstance(caller.result, Response)
    return caller.result


def refused(bench: Bench, raw: bytes) -> int:
    """With which status an answer is refused."""
    caller, far = asked(bench)
    far.send(raw)
    assert isinstance(caller.error, HTTPError)
    return caller.error.status


# --- RFC 9112 section 2.3, RFC 9110 section 2.5: versions


@pytest.mark.parametrize("minor", [0, 1])
def test_a_request_is_sent_in_our_own_version(bench: Bench, minor: int) -> None:
    assert sent(bench, minor=minor)[0] == b"GET / HTTP/1.1"


# --- RFC 9110 section 7.6.3: Via


@pytest.mark.parametrize("minor", [0, 1])
def test_via_names_the_version_of_the_message_that_came(bench: Bench, minor: int) -> None:
    via = [line for line in sent(bench, "GET", "/", "via: 1.1 first", minor=minor) if line.startswith(b"via")]
    assert len(via) == 1
    assert via[0].startswith(b"via: 1.1 first, 1.%d clerestory-" % minor)


def test_an_answers_via_names_the_version_of_the_upstream(bench: Bench) -> None:
    found = answered(bench, b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert dict(found.fields)[b"via"].startswith(b"1.0 clerestory-")


# --- RFC 9110 section 7.6.1: Connection


def test_connection_and_what_it_names_go_no_further_in_either_direction(bench: Bench) -> None:
    lines = sent(bench, "GET", "/", "connection: X-Hop, close", "x-hop: 1", "keep-alive: 5", "proxy-connection: x")
    assert not any(
        line.split(b":")[0] in (b"connection", b"x-hop", b"keep-alive", b"proxy-connection") for line in lines
    )
    found = answered(bench, answer(b"", b"Connection: X-Hop, close", b"X-Hop: 1", b"Keep-Alive: timeout=5"))
    assert [name for name, _ in found.fields] == [b"via"]


def test_te_and_trailer_go_no_further(bench: Bench) -> None:
    """RFC 9110 section 10.1.4: TE is about this connection; we discard trailers, and announce none."""
    lines = sent(bench, "GET", "/", "te: trailers", "connection: te", "trailer: expires")
    assert not any(line.startswith((b"te:", b"trailer:")) for line in lines)


# --- RFC 9110 section 7.6.2: Max-Forwards


@pytest.mark.parametrize("method", ["TRACE", "OPTIONS"])
def test_max_forwards_is_counted_down_and_ends_with_us(bench: Bench, method: str) -> None:
    assert b"max-forwards: 6" in sent(bench, method, "/", "max-forwards: 7")
    request = Request(method, "/", fields("max-forwards: 0"), authority=b"a.example", peer="127.0.0.1:4711")
    caller = bench.run(Proxy(bench.upstream)(request))
    assert caller.done
    assert not bench.is_asked()


# --- RFC 9110 section 9.3.8: TRACE


def test_a_trace_takes_no_secrets_along(bench: Bench) -> None:
    lines = sent(bench, "TRACE", "/", "authorization: Basic eA==", "cookie: a=b", "x-a: b")
    assert b"x-a: b" in lines
    assert not any(line.startswith((b"authorization:", b"cookie:")) for line in lines)


def test_a_trace_with_content_is_refused(bench: Bench) -> None:
    request = Request("TRACE", "/", (), authority=b"a.example", content_length=5, peer="127.0.0.1:4711")
    caller = bench.run(Proxy(bench.upstream)(request))
    assert isinstance(caller.error, HTTPError)
    assert (caller.error.status, bench.is_asked()) == (400, False)


# --- RFC 9112 section 3.2: targets, and Host


@pytest.mark.parametrize(
    ("method", "target", "line"),
    [
        ("GET", "http://b.example/p?q", b"GET /p?q HTTP/1.1"),
        ("GET", "http://b.example", b"GET / HTTP/1.1"),
        ("OPTIONS", "http://b.example", b"OPTIONS * HTTP/1.1"),
        ("OPTIONS", "http://b.example/", b"OPTIONS / HTTP/1.1"),
        ("OPTIONS", "http://b.example?q", b"OPTIONS /?q HTTP/1.1"),
        ("OPTIONS", "*", b"OPTIONS * HTTP/1.1"),
    ],
)
def test_the_target_is_sent_in_origin_form_or_as_an_asterisk(
    bench: Bench, method: str, target: str, line: bytes
) -> None:
    assert sent(bench, method, target)[0] == line


@pytest.mark.parametrize("target", ["/a%2Fb/%7e/../c?x=%41&&y", "//a//b?", "/a;b=c"])
def test_path_and_query_are_not_rewritten(bench: Bench, target: str) -> None:
    """RFC 9110 section 7.7: a proxy MUST NOT modify the path and query when it forwards."""
    assert sent(bench, "GET", target)[0] == b"GET " + target.encode() + b" HTTP/1.1"


def test_host_is_the_authority_that_was_asked_for_and_is_the_first_field(bench: Bench) -> None:
    lines = sent(bench, "GET", "http://a.example/", "accept: */*", "host: elsewhere.example")
    assert lines[1] == b"host: a.example"
    assert sum(line.startswith(b"host:") for line in lines) == 1


# --- RFC 9110 sections 5.1, 5.3, 5.5: fields


def test_fields_that_nobody_knows_go_on_as_they_are_and_in_their_order(bench: Bench) -> None:
    lines = sent(bench, "GET", "/", "x-new: 1", "accept: a", "x-new: 2", "x-odd: caf\xe9 ;,=")
    assert [line for line in lines if line.startswith(b"x-new")] == [b"x-new: 1", b"x-new: 2"]
    assert b"x-odd: caf\xe9 ;,=" in lines
    found = answered(bench, answer(b"", b"Set-Cookie: a=1", b"X-Odd: caf\xe9", b"Set-Cookie: b=2"))
    assert found.fields[:3] == ((b"set-cookie", b"a=1"), (b"x-odd", b"caf\xe9"), (b"set-cookie", b"b=2"))


@pytest.mark.parametrize(
    "line",
    ["if-none-match: \"a\"", "if-match: *", "range: bytes=0-1", "if-range: \"a\"", "accept-encoding: gzip",
     "cache-control: no-transform", "expires: 0", "warning: 199 - x", "pragma: no-cache", "date: x"],
)  # fmt: skip
def test_fields_that_are_for_the_origin_server_go_on(bench: Bench, line: str) -> None:
    assert line.encode() in sent(bench, "GET", "/", line)


def test_credentials_for_a_proxy_go_no_further(bench: Bench) -> None:
    """RFC 9110 section 11.7: they are for the next hop, which is us."""
    lines = sent(bench, "GET", "/", "proxy-authorization: Basic eA==", "authorization: Basic eQ==")
    assert b"authorization: Basic eQ==" in lines
    assert not any(b"eA==" in line for line in lines)
    found = answered(bench, answer(b"", b"Proxy-Authenticate: Basic", b"WWW-Authenticate: Basic"))
    assert [name for name, _ in found.fields] == [b"www-authenticate", b"via"]


# --- RFC 9112 section 5: field lines of an answer that are not well-formed


@pytest.mark.parametrize("line", [b"A: b\r\n c", b"A : b", b" A: b", b"A: b\x00", b"A: b\rc", b": b"])
def test_a_malformed_field_line_is_replaced_by_502(bench: Bench, line: bytes) -> None:
    """Section 5.2: an obs-fold is discarded with its message, or replaced; one of the two. Section 5.1: white space
    before the colon never goes on."""
    assert refused(bench, answer(b"hello", line)) == 502
    assert bench.states() == []


# --- RFC 9110 section 15: statuses


@pytest.mark.parametrize("status", [b"200 OK", b"299 Whatever", b"418 Teapot", b"499 X", b"599 Odd"])
def test_a_status_that_nobody_knows_goes_on(bench: Bench, status: bytes) -> None:
    found = answered(bench, answer(b"hello", status=status))
    assert (found.status, found.reason, found.body) == (int(status[:3]), status[4:].decode(), b"hello")


@pytest.mark.parametrize("status", [b"099 X", b"600 X", b"20 X", b"2000 X"])
def test_what_is_not_a_status_is_502(bench: Bench, status: bytes) -> None:
    assert refused(bench, answer(b"", status=status)) == 502


def test_a_reset_content_has_no_content(bench: Bench) -> None:
    found = answered(bench, answer(b"", status=b"205 Reset Content"))
    assert (found.status, found.body) == (205, b"")


def test_interim_responses_are_forwarded_with_our_via(bench: Bench) -> None:
    """Section 15.2, and section 7.6.3 for Via."""
    caller, far = asked(bench)
    far.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n")
    assert isinstance(caller, Relaying)
    ((status, reason, found),) = caller.interims
    assert (status, reason, [name for name, _ in found]) == (103, "Early Hints", [b"link", b"via"])


# --- RFC 9110 sections 8.6, 9.3.2, 15.4.5 and RFC 9112 section 6.3: where a message ends


def test_the_length_in_an_answer_to_head_goes_on(bench: Bench) -> None:
    """RFC 9110 section 8.6: it is what GET would have brought. The connection is not used again: some upstreams send
    the content that they announce."""
    found = answered(bench, b"HTTP/1.1 200 OK\r\nContent-Length: 4711\r\n\r\n", "HEAD")
    assert (b"content-length", b"4711") in found.fields
    assert bench.states() == []


def test_the_length_in_a_304_goes_on(bench: Bench) -> None:
    """RFC 9110 section 8.6. The connection is not used again: some upstreams send the content that they announce."""
    found = answered(bench, b'HTTP/1.1 304 Not Modified\r\nContent-Length: 4711\r\nETag: "a"\r\n\r\n')
    assert (b"content-length", b"4711") in found.fields
    assert bench.states() == []


def test_an_answer_without_content_that_announces_none_leaves_its_connection_in_use() -> None:
    for method, raw in (
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("HEAD", b'HTTP/1.1 200 OK\r\nETag: "a"\r\n\r\n'),
        ("GET", b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n'),
    ):
        other = Bench()
        answered(other, raw, method)
        assert other.states() == [S.IDLE]
        other.close()


def test_an_answer_of_two_framings_or_two_lengths_is_502(bench: Bench) -> None:
    """RFC 9112 section 6.3, rules 3 and 5: it may be an attempt at response splitting."""
    for lines in (
        [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        [b"Content-Length: 5", b"Content-Length: 6"],
        [b"Content-Length: 5, 6"],
        [b"Transfer-Encoding: gzip"],
    ):
        assert refused(bench, answer(b"hello", *lines, length=False)) == 502
        assert bench.states() == []


def test_an_incomplete_answer_is_never_handed_on_as_a_whole_one(bench: Bench) -> None:
    """RFC 9112 section 8."""
    for framing, part in ((b"Content-Length: 10", b"hello"), (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n")):
        caller, far = asked(bench)
        far.send(answer(part, framing, length=False))
        assert isinstance(caller.result, Response)
        far.close()
        body = caller.result.body
        assert bench.run(anext(body)).result == b"hello"  # type: ignore[call-overload]
        failed = bench.run(anext(body))  # type: ignore[call-overload]
        assert isinstance(failed.error, HTTPError)
        assert failed.error.status == 502


def test_chunk_extensions_and_trailers_go_no_further_and_harm_nothing(bench: Bench) -> None:
    """RFC 9112 sections 7.1.1 and 7.1.2; trailers are never merged into the head (RFC 9110 section 6.5.1)."""
    body = b'5;a=b;c="d"\r\nhello\r\n0;e\r\nExpires: never\r\n\r\n'
    found = answered(bench, answer(body, b"Transfer-Encoding: chunked", b"Trailer: Expires", length=False))
    assert (found.body, [name for name, _ in found.fields]) == (b"hello", [b"via"])
    assert bench.states() == [S.IDLE]


def test_content_is_not_transformed(bench: Bench) -> None:
    """RFC 9110 section 7.7, with no-transform or without: what is coded stays so."""
    content = b"\x1f\x8b\x00not really gzip"
    found = answered(bench, answer(content, b"Content-Encoding: gzip", b"Cache-Control: no-transform", b'ETag: "a"'))
    assert found.body == content
    assert [name for name, _ in found.fields] == [b"content-encoding", b"cache-control", b"etag", b"via"]


# --- RFC 9110 section 10.1.1: Expect; section 7.8: Upgrade


def test_an_expectation_is_forwarded_with_its_request(bench: Bench) -> None:
    request = Request(
        "POST", "/", fields("expect: 100-continue"), authority=b"a", content_length=5, expects_continue=True, peer="p:1"
    )
    caller = Relaying(bench.loop, Proxy(bench.upstream)(request))
    bench.settle()
    far = bench.accept()
    bench.settle()
    assert b"\r\nexpect: 100-continue\r\n" in far.received()
    far.send(answer(b"no", status=b"417 Expectation Failed"))
    assert isinstance(caller.result, Response)
    assert (caller.result.status, bench.states()) == (417, [])


def test_an_upgrade_goes_no_further_unless_it_is_to_websocket(bench: Bench) -> None:
    lines = sent(bench, "GET", "/", "connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAM")
    assert not any(line.split(b":")[0] in (b"connection", b"upgrade", b"http2-settings") for line in lines)
    lines = sent(bench, "GET", "/", "connection: upgrade", "upgrade: websocket")
    assert [line for line in lines if b"pgrade" in line] == [b"connection: upgrade", b"upgrade: websocket"]


def test_a_switch_of_protocols_that_nobody_asked_for_is_502(bench: Bench) -> None:
    assert refused(bench, b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n") == 502


# --- RFC 9110 section 9.2.2: what is sent again


def test_a_request_that_is_not_idempotent_is_not_sent_again(bench: Bench) -> None:
    caller, far = asked(bench, "POST")
    far.received()
    far.close()
    assert isinstance(caller.error, HTTPError)
    assert (caller.error.status, bench.is_asked()) == (502, False)


def test_an_idempotent_request_may_be_sent_again(bench: Bench) -> None:
    caller, far = asked(bench, "PUT")
    far.received()
    far.close()
    bench.accept().send(answer(b"hello"))
    assert isinstance(caller.result, Response)
    assert caller.result.body == b"hello"


def test_surplus_bytes_behind_an_answer_are_nobodys(bench: Bench) -> None:
    """RFC 9112 section 9.2: they are not the answer to a request that has not been sent."""
    found = answered(bench, answer(b"mine") + answer(b"surplus"))
    assert (found.body, bench.states()) == (b"mine", [])


def test_an_answer_that_ends_with_the_close_is_whole_and_its_connection_is_not_used_again(bench: Bench) -> None:
    caller, far = asked(bench)
    far.send(answer(b"hello", length=False))
    assert isinstance(caller.result, Response)
    body = caller.result.body
    far.half_close()
    assert bench.run(anext(body)).result == b"hello"  # type: ignore[call-overload]
    assert (bench.run(anext(body)).error, bench.states()) == (None, [])  # type: ignore[call-overload]


__all__ = ["read"]
